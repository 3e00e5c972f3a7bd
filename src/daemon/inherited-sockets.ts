import { TugError } from "../base/lib/errors.ts";

export interface InheritedSocket {
  readonly fd: number;
  readonly name: string;
}

/** The first descriptor that is handed over (sd_listen_fds(3)). */
const firstFd = 3;

/**
 * The listening sockets that systemd handed over and `fd://` asks for: all of them, one by its descriptor, or those of a
 * name (FileDescriptorName= of the socket unit).
 */
export function inheritedSockets(
  wanted: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
  pid: number = process.pid,
): readonly InheritedSocket[] {
  const count = env["LISTEN_PID"] === String(pid) ? Number(env["LISTEN_FDS"] ?? "0") : 0;
  const names = (env["LISTEN_FDNAMES"] ?? "").split(":");
  const all = Array.from({ length: Number.isInteger(count) ? Math.max(0, count) : 0 }, (_, index) => ({
    fd: firstFd + index,
    name: names[index] || String(firstFd + index),
  }));
  if (all.length === 0) {
    throw new TugError(
      "unavailable",
      "failed to load listeners: no sockets found via socket activation: make sure the service was started by systemd",
    );
  }
  if (wanted === "" || wanted === "*") return all;
  const chosen = all.filter((socket) => socket.name === wanted || String(socket.fd) === wanted);
  if (chosen.length === 0) {
    throw new TugError(
      "unavailable",
      `failed to load listeners: invalid sockets found via socket activation: ${wanted}`,
    );
  }
  return chosen;
}
