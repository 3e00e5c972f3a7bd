import type { Socket, SocketHandler, UnixSocketOptions } from "bun";

/**
 * Hands a connected socket's descriptor to Bun's event loop, which owns it from then on. Bun takes `fd` where its type
 * declarations only know of host names and unix paths; this is the one place that says so.
 */
export async function adoptSocket(fd: number, socket: SocketHandler<undefined>): Promise<Socket> {
  const options: { readonly fd: number; readonly socket: SocketHandler<undefined> } = { fd, socket };
  return await Bun.connect(options as unknown as UnixSocketOptions<undefined>);
}
