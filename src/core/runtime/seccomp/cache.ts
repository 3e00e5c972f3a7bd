import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { invalid } from "../../../base/lib/errors.ts";
import { SeccompCompiler, SeccompError } from "../../../base/sys/process/seccomp.ts";
import type { OciSeccomp } from "../spec/seccomp.ts";

/** So many programs stay in memory; there is one for each set of capabilities and profile in use. */
const KEPT = 32;

/**
 * Compiled seccomp programs by profile: in memory, and on disk for the next daemon. Compiling Docker's profile takes some
 * milliseconds, which every container start would pay otherwise.
 */
export class SeccompCache implements Disposable {
  readonly #directory: string;
  readonly #programs = new Map<string, Uint8Array>();
  #compiler: SeccompCompiler | undefined;

  /** `directory` must be writable by root alone: what lies there becomes a filter. */
  constructor(deps: { readonly directory: string }) {
    this.#directory = deps.directory;
  }

  /** The program for an OCI `linux.seccomp`; throws invalid-argument for a profile that libseccomp refuses. */
  program(profile: OciSeccomp): Uint8Array {
    const key = createHash("sha256")
      .update(JSON.stringify([release(), process.arch, profile]))
      .digest("hex");
    const known = this.#programs.get(key) ?? this.#load(key);
    const program = known ?? this.#compile(profile);
    if (!known) this.#save(key, program);
    this.#programs.delete(key);
    this.#programs.set(key, program);
    const oldest = this.#programs.keys().next().value;
    if (this.#programs.size > KEPT && oldest !== undefined) this.#programs.delete(oldest);
    return program;
  }

  [Symbol.dispose](): void {
    this.#compiler?.[Symbol.dispose]();
  }

  #compile(profile: OciSeccomp): Uint8Array {
    this.#compiler ??= new SeccompCompiler();
    try {
      return this.#compiler.compile({
        defaultAction: profile.defaultAction,
        defaultErrnoRet: profile.defaultErrnoRet,
        architectures: profile.architectures ?? [],
        rules: profile.syscalls.map((rule) => ({
          names: rule.names,
          action: rule.action,
          errnoRet: rule.errnoRet,
          args: (rule.args ?? []).map(({ index, op, value, valueTwo }) => ({
            index,
            op,
            value,
            valueTwo: valueTwo ?? 0,
          })),
        })),
      });
    } catch (error) {
      if (error instanceof SeccompError) throw invalid(error.message, error);
      throw error;
    }
  }

  /** A stored program is its SHA-256 and the bytes: a torn or foreign file is compiled anew. */
  #load(key: string): Uint8Array | undefined {
    let stored: Buffer;
    try {
      stored = readFileSync(join(this.#directory, key));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    const program = stored.subarray(32);
    return program.length > 0 && stored.subarray(0, 32).equals(sha256(program)) ? program : undefined;
  }

  #save(key: string, program: Uint8Array): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const path = join(this.#directory, key);
    writeFileSync(`${path}.new`, Buffer.concat([sha256(program), program]), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
