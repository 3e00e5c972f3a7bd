import { dlopen, FFIType, type Pointer, ptr } from "bun:ffi";
import { closeSync, readFileSync } from "node:fs";
import { cstr, SystemError } from "../libc.ts";

/** One comparison of a system call's argument. */
export interface FilterArg {
  readonly index: number;
  /** SCMP_CMP_NE ... */
  readonly op: string;
  readonly value: number;
  readonly valueTwo: number;
}

export interface FilterRule {
  readonly names: readonly string[];
  /** SCMP_ACT_ALLOW ... */
  readonly action: string;
  readonly errnoRet: number | undefined;
  readonly args: readonly FilterArg[];
}

export interface FilterProgram {
  readonly defaultAction: string;
  readonly defaultErrnoRet: number | undefined;
  /** SCMP_ARCH_X86_64 ...; empty means the native one alone. */
  readonly architectures: readonly string[];
  readonly rules: readonly FilterRule[];
}

/** libseccomp(3): seccomp.h's numbers. */
const ACTIONS: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: 0x00000000,
  SCMP_ACT_KILL_THREAD: 0x00000000,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
  SCMP_ACT_NOTIFY: 0x7fc00000,
};
const WITH_ERRNO = new Set(["SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"]);
const COMPARISONS: Readonly<Record<string, number>> = {
  SCMP_CMP_NE: 1,
  SCMP_CMP_LT: 2,
  SCMP_CMP_LE: 3,
  SCMP_CMP_EQ: 4,
  SCMP_CMP_GE: 5,
  SCMP_CMP_GT: 6,
  SCMP_CMP_MASKED_EQ: 7,
};
const EPERM = 1;
const EEXIST = 17;
const EDOM = 33;
const NR_SCMP_ERROR = -1;
const SCMP_FLTATR_CTL_OPTIMIZE = 8;
const SCMP_FLTATR_CTL_NNP = 3;
/** struct scmp_arg_cmp: u32 arg, u32 op, u64 a, u64 b. */
const ARG_SIZE = 24;

/** What this host's libseccomp lacks of a profile. */
export class SeccompError extends Error {
  override readonly name = "SeccompError";
}

/**
 * libseccomp through bun:ffi: turns a profile into the BPF program that seccomp(2) takes. Opened on demand, since a daemon may
 * run without it.
 */
export class SeccompCompiler implements Disposable {
  readonly #lib = dlopen("libseccomp.so.2", {
    seccomp_init: { args: [FFIType.u32], returns: FFIType.ptr },
    seccomp_release: { args: [FFIType.ptr], returns: FFIType.void },
    seccomp_arch_resolve_name: { args: [FFIType.ptr], returns: FFIType.u32 },
    seccomp_arch_add: { args: [FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
    seccomp_attr_set: { args: [FFIType.ptr, FFIType.i32, FFIType.u32], returns: FFIType.i32 },
    seccomp_syscall_resolve_name: { args: [FFIType.ptr], returns: FFIType.i32 },
    seccomp_rule_add_array: {
      args: [FFIType.ptr, FFIType.u32, FFIType.i32, FFIType.u32, FFIType.ptr],
      returns: FFIType.i32,
    },
    seccomp_export_bpf: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
  });
  readonly #libc = dlopen("libc.so.6", {
    memfd_create: { args: [FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  });

  /** The raw `struct sock_filter` array. System calls that this libseccomp does not know are left out, as runc and crun do. */
  compile(program: FilterProgram): Uint8Array {
    const { symbols } = this.#lib;
    const defaultAction = action(program.defaultAction, program.defaultErrnoRet);
    const context = symbols.seccomp_init(defaultAction) as Pointer | null;
    if (!context) throw new SeccompError("seccomp_init failed");
    try {
      for (const name of program.architectures) this.#addArchitecture(context, name);
      symbols.seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 0);
      for (const rule of program.rules) this.#addRule(context, rule, defaultAction);
      // A binary tree instead of a chain: a call costs the same wherever it stands. Old versions lack it and are slower.
      symbols.seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
      return this.#export(context);
    } finally {
      symbols.seccomp_release(context);
    }
  }

  [Symbol.dispose](): void {
    this.#lib.close();
    this.#libc.close();
  }

  #addArchitecture(context: Pointer, name: string): void {
    const short = cstr(name.replace(/^SCMP_ARCH_/, "").toLowerCase());
    const token = this.#lib.symbols.seccomp_arch_resolve_name(ptr(short));
    if (token === 0) throw new SeccompError(`unknown architecture in the seccomp profile: ${name}`);
    const result = this.#lib.symbols.seccomp_arch_add(context, token);
    if (result < 0 && result !== -EEXIST && result !== -EDOM)
      throw new SeccompError(`seccomp_arch_add ${name} failed: ${-result}`);
  }

  #addRule(context: Pointer, rule: FilterRule, defaultAction: number): void {
    const wanted = action(rule.action, rule.errnoRet);
    // libseccomp refuses a rule that says what happens anyway.
    if (wanted === defaultAction) return;
    for (const name of rule.names) {
      const text = cstr(name);
      const number = this.#lib.symbols.seccomp_syscall_resolve_name(ptr(text));
      if (number === NR_SCMP_ERROR) continue;
      for (const args of groups(rule.args)) {
        const array = encodeArgs(args);
        const result = this.#lib.symbols.seccomp_rule_add_array(
          context,
          wanted,
          number,
          args.length,
          array ? ptr(array) : null,
        );
        // EEXIST: said before. EDOM: a call that one of the architectures does not have.
        if (result < 0 && result !== -EEXIST && result !== -EDOM)
          throw new SeccompError(`seccomp rule for ${name} failed: ${-result}`);
      }
    }
  }

  #export(context: Pointer): Uint8Array {
    const name = cstr("seccomp");
    const fd = this.#libc.symbols.memfd_create(ptr(name), 1);
    if (fd < 0) throw new SeccompError("memfd_create failed");
    try {
      const result = this.#lib.symbols.seccomp_export_bpf(context, fd);
      if (result < 0) throw new SystemError(-result, "seccomp_export_bpf");
      return readFileSync(`/proc/self/fd/${fd}`);
    } finally {
      closeSync(fd);
    }
  }
}

function action(name: string, errnoRet: number | undefined): number {
  const number = ACTIONS[name];
  if (number === undefined) throw new SeccompError(`unknown seccomp action: ${name}`);
  if (!WITH_ERRNO.has(name)) return number;
  return (number | ((errnoRet ?? EPERM) & 0xffff)) >>> 0;
}

/** libseccomp ANDs the arguments of a rule and takes each index once; runc gives a rule for each when one repeats. */
function groups(args: readonly FilterArg[]): readonly (readonly FilterArg[])[] {
  const repeated = new Set(args.map((arg) => arg.index)).size < args.length;
  return repeated ? args.map((arg) => [arg]) : [args];
}

function encodeArgs(args: readonly FilterArg[]): Buffer | undefined {
  if (args.length === 0) return undefined;
  const array = Buffer.alloc(ARG_SIZE * args.length);
  for (const [at, arg] of args.entries()) {
    const op = COMPARISONS[arg.op];
    if (op === undefined) throw new SeccompError(`unknown seccomp comparison: ${arg.op}`);
    array.writeUInt32LE(arg.index, at * ARG_SIZE);
    array.writeUInt32LE(op, at * ARG_SIZE + 4);
    array.writeBigUInt64LE(BigInt.asUintN(64, BigInt(arg.value)), at * ARG_SIZE + 8);
    array.writeBigUInt64LE(BigInt.asUintN(64, BigInt(arg.valueTwo)), at * ARG_SIZE + 16);
  }
  return array;
}
