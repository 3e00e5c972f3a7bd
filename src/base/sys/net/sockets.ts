import { dlopen, FFIType, ptr } from "bun:ffi";
import { cstr, errno, SystemError } from "../libc.ts";

/**
 * Raw sockets calls by file descriptor, for what Bun's own sockets cannot be: netlink, sockets opened inside another network
 * namespace, a synchronous bind probe. Descriptors are plain numbers; every one is made close-on-exec.
 */
const lib = dlopen("libc.so.6", {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  connect: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  listen: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  accept4: { args: [FFIType.i32, FFIType.ptr, FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
  getsockname: { args: [FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  setsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i32,
  },
  getsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.ptr],
    returns: FFIType.i32,
  },
  sendto: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i64,
  },
  recvfrom: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.ptr],
    returns: FFIType.i64,
  },
  open: { args: [FFIType.ptr, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
  fcntl: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
});

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const O_CLOEXEC = 0o2000000;
const F_DUPFD_CLOEXEC = 1030;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_RCVBUF = 8;
const SO_RCVTIMEO = 20;

function check(result: number | bigint, call: string, about?: string): number {
  const value = Number(result);
  if (value < 0) throw new SystemError(errno(), call, about);
  return value;
}

/** `open(2)` with O_CLOEXEC, for descriptors that other calls of this folder need at once. */
export function openFd(path: string, flags = 0): number {
  return check(lib.symbols.open(ptr(cstr(path)), flags | O_CLOEXEC, 0), "open", path);
}

/** Closes; a failure is ignored on purpose: Linux has released the descriptor in every case (close(2), NOTES). */
export function closeFd(fd: number): void {
  lib.symbols.close(fd);
}

/** Another descriptor of the same open file (fcntl(2), F_DUPFD_CLOEXEC). */
export function duplicateFd(fd: number): number {
  return check(lib.symbols.fcntl(fd, F_DUPFD_CLOEXEC, 0), "fcntl F_DUPFD_CLOEXEC");
}

export function socket(family: number, type: number, protocol = 0): number {
  return check(lib.symbols.socket(family, type | SOCK_CLOEXEC, protocol), "socket");
}

export function bind(fd: number, address: Uint8Array, about?: string): void {
  check(lib.symbols.bind(fd, ptr(address), address.length), "bind", about);
}

/** False when the connection is still being made (non-blocking sockets). */
export function connect(fd: number, address: Uint8Array, about?: string): boolean {
  if (lib.symbols.connect(fd, ptr(address), address.length) === 0) return true;
  const error = errno();
  if (error === 115) return false;
  throw new SystemError(error, "connect", about);
}

export function listen(fd: number, backlog = 128): void {
  check(lib.symbols.listen(fd, backlog), "listen");
}

/** The accepted descriptor, or undefined when none waits. */
export function accept(fd: number): number | undefined {
  const accepted = lib.symbols.accept4(fd, null, null, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (accepted >= 0) return accepted;
  const error = errno();
  // EAGAIN, EINTR, ECONNABORTED, EPROTO: nothing to take now (accept(2), "Error handling").
  if (error === 11 || error === 4 || error === 103 || error === 71) return undefined;
  throw new SystemError(error, "accept");
}

/** The port a bound IPv4 or IPv6 socket got. */
export function boundPort(fd: number): number {
  const address = new Uint8Array(28);
  const length = new Uint32Array([address.length]);
  check(lib.symbols.getsockname(fd, ptr(address), ptr(length)), "getsockname");
  return ((address[2] ?? 0) << 8) | (address[3] ?? 0);
}

export function setOption(fd: number, level: number, option: number, value: number): void {
  check(lib.symbols.setsockopt(fd, level, option, ptr(new Int32Array([value])), 4), "setsockopt");
}

/** Value of an integer option, e.g. SO_ERROR after a non-blocking connect. */
export function getOption(fd: number, level: number, option: number): number {
  const value = new Int32Array(1);
  check(lib.symbols.getsockopt(fd, level, option, ptr(value), ptr(new Uint32Array([4]))), "getsockopt");
  return value[0] ?? 0;
}

/** A receive time-out, so that a kernel that never answers cannot hang the caller. */
export function setReceiveTimeout(fd: number, milliseconds: number): void {
  const value = new BigInt64Array([
    BigInt(Math.floor(milliseconds / 1000)),
    BigInt((milliseconds % 1000) * 1000),
  ]);
  check(lib.symbols.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, ptr(value), 16), "setsockopt");
}

/** Bytes sent; undefined when the call would block. */
export function send(fd: number, data: Uint8Array, to?: Uint8Array): number | undefined {
  const result = Number(
    lib.symbols.sendto(fd, ptr(data), data.length, MSG_NOSIGNAL, to ? ptr(to) : null, to?.length ?? 0),
  );
  if (result >= 0) return result;
  const error = errno();
  if (error === 11) return undefined;
  throw new SystemError(error, "send");
}

/** Bytes received into `into` (0: end of stream); undefined when the call would block or timed out. */
export function receive(fd: number, into: Uint8Array, flags = 0): number | undefined {
  for (;;) {
    const result = Number(lib.symbols.recvfrom(fd, ptr(into), into.length, flags, null, null));
    if (result >= 0) return result;
    const error = errno();
    if (error === 4) continue;
    if (error === 11) return undefined;
    throw new SystemError(error, "recv");
  }
}

/** A datagram and its sender's socket address. */
export function receiveFrom(
  fd: number,
  into: Uint8Array,
): { readonly length: number; readonly from: Uint8Array } | undefined {
  const from = new Uint8Array(28);
  const size = new Uint32Array([from.length]);
  const result = Number(lib.symbols.recvfrom(fd, ptr(into), into.length, MSG_DONTWAIT, ptr(from), ptr(size)));
  if (result >= 0) return { length: result, from: from.subarray(0, size[0] ?? 0) };
  const error = errno();
  // ECONNREFUSED is an ICMP answer to an earlier datagram, not about this call.
  if (error === 11 || error === 4 || error === 111) return undefined;
  throw new SystemError(error, "recvfrom");
}

/** `struct sockaddr_in` or `sockaddr_in6` of address bytes (4 or 16) and a port. */
export function socketAddress(address: Uint8Array, port: number): Uint8Array {
  const v6 = address.length === 16;
  const bytes = new Uint8Array(v6 ? 28 : 16);
  bytes[0] = v6 ? AF_INET6 : AF_INET;
  bytes[2] = port >> 8;
  bytes[3] = port & 255;
  bytes.set(address, v6 ? 8 : 4);
  return bytes;
}

/** `struct sockaddr_un` of a path. */
export function unixAddress(path: string): Uint8Array {
  const name = Buffer.from(path);
  if (name.length > 107) throw new SystemError(36, "bind", path);
  const bytes = new Uint8Array(2 + name.length + 1);
  bytes[0] = AF_UNIX;
  bytes.set(name, 2);
  return bytes;
}
