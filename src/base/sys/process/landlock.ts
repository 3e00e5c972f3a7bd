import { dlopen, FFIType as T } from "bun:ffi";
import { AT_FDCWD, closeFd, O, openat } from "../at.ts";
import { errno, SystemError } from "../libc.ts";
import { SYS } from "../syscalls.ts";

/** Access rights of landlock(7), by the version of its interface that brought them. */
const EXECUTE = 1n << 0n;
const WRITE_FILE = 1n << 1n;
/** REMOVE_DIR to MAKE_SYM: bits 4 to 12. */
const CHANGE_NAMES = 0x1ff0n;
const REFER = 1n << 13n;
const TRUNCATE = 1n << 14n;
const BIND_AND_CONNECT_TCP = 3n;

const VERSION = 1;
const RULE_PATH_BENEATH = 1;

/**
 * Takes from this thread, for good, the right to write, make, remove or truncate anything outside `directories`, to execute
 * any program, and (Linux 6.7) to use TCP: a second wall behind the path work of a helper that handles hostile input. False
 * where the kernel does not let us, has no Landlock, or one that forbids hard links between directories (before 5.19).
 */
export function confineWritesTo(...directories: readonly string[]): boolean {
  return restrictSelf((abi) => WRITE_FILE | CHANGE_NAMES | REFER | (abi >= 3 ? TRUNCATE : 0n), directories);
}

/**
 * The same of programs and TCP alone, for a thread whose mounts forbid it to write: files are then opened without a look at Landlock's rules.
 * Names move, and hard links are made, from one directory to another below `directories` only: Landlock never lets that be.
 */
export function forbidPrograms(...directories: readonly string[]): boolean {
  return restrictSelf(() => REFER, directories);
}

/** `directories` are excepted from what `writesOf` gives for a version of the interface. */
function restrictSelf(writesOf: (abi: number) => bigint, directories: readonly string[]): boolean {
  const create = dlopen("libc.so.6", {
    syscall: { args: [T.i64, T.ptr, T.u64, T.u32], returns: T.i64_fast },
  }).symbols.syscall;
  const addRule = dlopen("libc.so.6", {
    syscall: { args: [T.i64, T.i64, T.i64, T.ptr, T.u32], returns: T.i64_fast },
  }).symbols.syscall;
  const restrict = dlopen("libc.so.6", {
    syscall: { args: [T.i64, T.i64, T.u32], returns: T.i64_fast },
  }).symbols.syscall;

  const abi = Number(create(SYS.landlock_create_ruleset, null, 0, VERSION));
  if (abi < 2) return false;
  const writes = writesOf(abi);
  const ruleset = Buffer.alloc(abi >= 4 ? 16 : 8);
  ruleset.writeBigUInt64LE(writes | EXECUTE, 0);
  if (abi >= 4) ruleset.writeBigUInt64LE(BIND_AND_CONNECT_TCP, 8);
  const fd = checked(
    create(SYS.landlock_create_ruleset, ruleset, ruleset.length, 0),
    "landlock_create_ruleset",
  );
  try {
    for (const directory of directories) {
      const beneath = openat(AT_FDCWD, directory, O.PATH | O.DIRECTORY);
      try {
        const rule = Buffer.alloc(12);
        rule.writeBigUInt64LE(writes, 0);
        rule.writeInt32LE(beneath, 8);
        checked(addRule(SYS.landlock_add_rule, fd, RULE_PATH_BENEATH, rule, 0), "landlock_add_rule");
      } finally {
        closeFd(beneath);
      }
    }
    // EPERM: neither CAP_SYS_ADMIN nor no_new_privs, as in some containers.
    return restrict(SYS.landlock_restrict_self, fd, 0) >= 0;
  } finally {
    closeFd(fd);
  }
}

function checked(result: number | bigint, call: string): number {
  if (result < 0) throw new SystemError(errno(), call);
  return Number(result);
}
