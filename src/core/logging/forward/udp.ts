import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";

/** Sends datagrams to one place. Nobody confirms them; a failure is one of this host. */
export interface DatagramSender extends AsyncDisposable {
  send(bytes: Uint8Array): Promise<void>;
}

export function openUdp(host: string, port: number): DatagramSender {
  const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
  // An ICMP "port unreachable" comes back as an error event of some later time.
  socket.on("error", () => undefined);
  socket.unref();
  return {
    send: (bytes) =>
      new Promise((resolve, reject) => {
        socket.send(bytes, port, host, (error) => (error ? reject(error) : resolve()));
      }),
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}
