import { dlopen, FFIType, ptr } from "bun:ffi";
import { closeSync, constants, openSync } from "node:fs";
import { basename, dirname } from "node:path";
import { errno, SystemError } from "../libc.ts";
import {
  AF_UNIX,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SO_RCVBUF,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from "./sockets.ts";

const lib = dlopen("libc.so.6", {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  connect: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  socketpair: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
  send: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64_fast },
  ioctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
  setsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i32,
  },
});

const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0o2000000;
const SIOCOUTQ = 0x5411;
const EAGAIN = 11;
const SO_SNDBUF = 7;
/** sizeof(sun_path), the final NUL included (unix(7)). */
const SUN_PATH = 108;
const O_PATH = 0o10000000;

/**
 * Connects a SOCK_SEQPACKET socket (which Bun cannot make itself) to a unix path and returns its fd, non-blocking and
 * close-on-exec, for `Bun.connect({ fd })`. A path too long for sun_path is reached through /proc/self/fd.
 */
export function connectSeqpacket(path: string, bufferBytes?: number): number {
  let directory = -1;
  let address = path;
  if (Buffer.byteLength(path) >= SUN_PATH) {
    directory = openSync(dirname(path), O_PATH | constants.O_DIRECTORY);
    address = `/proc/self/fd/${directory}/${basename(path)}`;
  }
  const fd = lib.symbols.socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  try {
    if (fd < 0) throw new SystemError(errno(), "socket");
    if (bufferBytes !== undefined) setBuffers(fd, bufferBytes);
    const name = Buffer.alloc(2 + SUN_PATH);
    name.writeUInt16LE(AF_UNIX, 0);
    name.write(address, 2);
    if (lib.symbols.connect(fd, ptr(name), name.length) !== 0)
      throw new SystemError(errno(), "connect", path);
    return fd;
  } catch (error) {
    if (fd >= 0) closeSync(fd);
    throw error;
  } finally {
    if (directory >= 0) closeSync(directory);
  }
}

/** Asks for larger socket buffers; the kernel caps them at net.core.[rw]mem_max and a refusal changes nothing but speed. */
function setBuffers(fd: number, bytes: number): void {
  const value = Buffer.alloc(4);
  value.writeInt32LE(bytes);
  lib.symbols.setsockopt(fd, SOL_SOCKET, SO_SNDBUF, ptr(value), 4);
  lib.symbols.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, ptr(value), 4);
}

/**
 * Sends a packet without bytes, which its reader takes for the end of the stream while we can still read. "full": try again
 * later; "gone": the peer reads no more.
 */
export function sendEmptyPacket(fd: number): "sent" | "full" | "gone" {
  if (Number(lib.symbols.send(fd, ptr(Buffer.alloc(1)), 0, MSG_DONTWAIT | MSG_NOSIGNAL)) === 0) return "sent";
  return errno() === EAGAIN ? "full" : "gone";
}

/** True when the peer has read all packets sent to it (unix(7), SIOCOUTQ). */
export function allPacketsRead(fd: number): boolean {
  const waiting = Buffer.alloc(4);
  if (lib.symbols.ioctl(fd, SIOCOUTQ, ptr(waiting)) !== 0) throw new SystemError(errno(), "ioctl");
  return waiting.readInt32LE() === 0;
}

/** A connected pair of stream sockets, both close-on-exec: one end for a child, one for us. */
export function streamSocketPair(): readonly [ours: number, theirs: number] {
  const fds = Buffer.alloc(8);
  if (lib.symbols.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ptr(fds)) !== 0)
    throw new SystemError(errno(), "socketpair");
  return [fds.readInt32LE(0), fds.readInt32LE(4)];
}
