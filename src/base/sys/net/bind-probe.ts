import { SystemError } from "../libc.ts";
import {
  bind,
  closeFd,
  listen,
  SO_REUSEADDR,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  setOption,
  socket,
  socketAddress,
} from "./sockets.ts";

const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const IPPROTO_SCTP = 132;

/**
 * Whether a process could bind the port now: undefined, or the failure as the C library words it. Done as a server would
 * (SO_REUSEADDR for streams, so that TIME_WAIT does not count), and closed at once.
 */
export function probeBind(
  protocol: "tcp" | "udp" | "sctp",
  address: Uint8Array,
  port: number,
): string | undefined {
  let fd: number;
  try {
    const v6 = address.length === 16;
    fd = socket(
      v6 ? 10 : 2,
      protocol === "udp" ? SOCK_DGRAM : SOCK_STREAM,
      protocol === "sctp" ? IPPROTO_SCTP : 0,
    );
  } catch (error) {
    // A kernel without SCTP or IPv6: nobody can listen there either.
    if (error instanceof SystemError) return undefined;
    throw error;
  }
  try {
    if (protocol !== "udp") setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (address.length === 16) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    bind(fd, socketAddress(address, port));
    if (protocol !== "udp") listen(fd, 1);
    return undefined;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.code === "EADDRINUSE") return "address already in use";
    if (error.code === "EADDRNOTAVAIL") return "cannot assign requested address";
    return error.code === "EACCES" ? "permission denied" : error.message;
  } finally {
    closeFd(fd);
  }
}
