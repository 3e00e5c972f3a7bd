import { dlopen, FFIType as T } from "bun:ffi";
import { closeSync, fstatSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { cstr, errno, SystemError } from "../libc.ts";

const lib = dlopen("libc.so.6", {
  memfd_create: { args: [T.ptr, T.u32], returns: T.i32 },
  fcntl: { args: [T.i32, T.i32, T.i32], returns: T.i32 },
});

/** memfd_create(2), fcntl(2): linux/memfd.h, linux/fcntl.h. */
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_EXEC = 0x10;
const F_ADD_SEALS = 1033;
/** SEAL, SHRINK, GROW, WRITE: the set that runtimes take for "nobody can change what I am executed from". */
const SEALS = 0xf;
const ELF = Buffer.from("\x7fELF", "latin1");

/** A copy of a program in memory that nobody can write any more, not even root. */
export interface SealedProgram extends Disposable {
  /** Executes the copy for as long as this process lives and holds it. */
  readonly path: string;
}

/**
 * Copies a program into a sealed memfd. Who executes it may show its /proc/self/exe to anybody (CVE-2019-5736); an OCI runtime,
 * which otherwise makes such a copy of itself at each start, sees the seals and does not. `undefined` for what is no ELF
 * program (a script wants its own path) and where the host lets no memfd be executed (sysctl vm.memfd_noexec).
 */
export function sealProgram(path: string): SealedProgram | undefined {
  const source = openSync(path, "r");
  try {
    const magic = Buffer.alloc(ELF.length);
    readSync(source, magic, 0, magic.length, 0);
    if (!magic.equals(ELF) || !fstatSync(source).isFile()) return undefined;
    const fd = executableMemfd();
    if (fd === undefined) return undefined;
    try {
      const bytes = readFileSync(path);
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      if (lib.symbols.fcntl(fd, F_ADD_SEALS, SEALS) < 0) throw new SystemError(errno(), "fcntl F_ADD_SEALS");
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return { path: `/proc/${process.pid}/fd/${fd}`, [Symbol.dispose]: () => closeSync(fd) };
  } finally {
    closeSync(source);
  }
}

/** MFD_EXEC is refused with EINVAL before Linux 6.3, where every memfd can be executed. */
function executableMemfd(): number | undefined {
  const name = cstr("program");
  for (const exec of [MFD_EXEC, 0]) {
    const fd = lib.symbols.memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | exec);
    if (fd >= 0) return fd;
    const error = new SystemError(errno(), "memfd_create");
    if (error.code === "EACCES") return undefined;
    if (error.code !== "EINVAL" || exec === 0) throw error;
  }
  return undefined;
}
