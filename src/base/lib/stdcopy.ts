/**
 * Docker's multiplexed stream: each frame is an eight-byte header (stream, three zeros, payload length big endian) and its
 * payload (Engine API, "Stream format" of ContainerAttach).
 */
export type StdStream = "stdin" | "stdout" | "stderr" | "systemerr";

const names: readonly StdStream[] = ["stdin", "stdout", "stderr", "systemerr"];
const headerSize = 8;

/** The header of a frame with `length` bytes. */
export function stdcopyHeader(stream: StdStream, length: number): Uint8Array {
  const header = new Uint8Array(headerSize);
  header[0] = names.indexOf(stream);
  header[4] = length >>> 24;
  header[5] = length >>> 16;
  header[6] = length >>> 8;
  header[7] = length;
  return header;
}
