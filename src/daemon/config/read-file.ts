import { closeSync, openSync, readSync } from "node:fs";
import { invalid } from "../../base/lib/errors.ts";
import { systemText } from "../../base/lib/system-text.ts";

/** More than anybody writes: what is larger was named by mistake. */
const limit = 4 * 1024 * 1024;

/** daemon.json's text, in UTF-8 or what its byte order mark says (as dockerd reads it). It may be a pipe. */
export function readConfigFile(path: string): string {
  const fail = (reason: string) =>
    invalid(`unable to configure the Docker daemon with file ${path}: ${reason}`);
  const bytes = Buffer.allocUnsafe(limit + 1);
  let length = 0;
  try {
    const fd = openSync(path, "r");
    try {
      for (let read = -1; read !== 0 && length < bytes.length; length += read)
        read = readSync(fd, bytes, length, bytes.length - length, null);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw fail(`open ${path}: ${systemText(error)}`);
  }
  if (length > limit) throw fail("it is larger than 4 MiB: is it the right file?");
  const text = bytes.subarray(0, length);
  const [first, second] = text;
  const encoding =
    first === 0xff && second === 0xfe ? "utf-16le" : first === 0xfe && second === 0xff ? "utf-16be" : "utf-8";
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(text);
  } catch (cause) {
    if (cause instanceof TypeError) throw fail("it is not UTF-8 text: save it in that encoding");
    throw cause;
  }
}
