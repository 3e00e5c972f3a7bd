import { CString, dlopen, FFIType, type Pointer, ptr } from "bun:ffi";
import { TugError } from "../../lib/errors.ts";
import { cstr } from "../libc.ts";
import { uninterrupted } from "../process/uninterrupted.ts";

/**
 * nftables by libnftables in process: one batch of commands is one kernel transaction, all or nothing (nft(8)). Where the
 * library is missing the `nft` program does the same, slower. A context belongs to the network namespace it was made in.
 */
export interface Nftables extends Disposable {
  /** Runs commands atomically and returns what they print. Throws `TugError` internal with nft's text. */
  run(commands: string): string;
  /** The same with output as libnftables-json(5) describes; undefined where the library was built without JSON. */
  query(command: string): unknown;
}

const outputJson = 1 << 4;

const symbols = {
  nft_ctx_new: { args: [FFIType.u32], returns: FFIType.ptr },
  nft_ctx_free: { args: [FFIType.ptr], returns: FFIType.void },
  nft_ctx_buffer_output: { args: [FFIType.ptr], returns: FFIType.i32 },
  nft_ctx_buffer_error: { args: [FFIType.ptr], returns: FFIType.i32 },
  nft_ctx_get_output_buffer: { args: [FFIType.ptr], returns: FFIType.ptr },
  nft_ctx_get_error_buffer: { args: [FFIType.ptr], returns: FFIType.ptr },
  nft_ctx_output_set_flags: { args: [FFIType.ptr, FFIType.u32], returns: FFIType.void },
  nft_run_cmd_from_buffer: { args: [FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
} as const;

function failure(commands: string, text: string): TugError {
  const shown = commands.length > 400 ? `${commands.slice(0, 400)}…` : commands;
  return new TugError("internal", `nftables: ${text.trim() || "transaction refused"} in: ${shown.trim()}`);
}

function text(pointer: Pointer | bigint | null): string {
  return pointer === null ? "" : new CString(Number(pointer) as Pointer).toString();
}

/** Opens a context in the calling thread's network namespace. */
export function openNftables(): Nftables {
  let library: ReturnType<typeof dlopen<typeof symbols>>;
  try {
    library = dlopen("libnftables.so.1", symbols);
  } catch {
    return programNftables;
  }
  const nft = library.symbols;
  const context = nft.nft_ctx_new(0);
  if (context === null) throw new TugError("internal", "nftables: no context");
  if (nft.nft_ctx_buffer_output(context) !== 0 || nft.nft_ctx_buffer_error(context) !== 0) {
    nft.nft_ctx_free(context);
    throw new TugError("internal", "nftables: out of memory");
  }
  let open = true;
  const run = (commands: string): string => {
    const buffer = cstr(commands);
    // After a transaction libnftables selects replies, and says of one that a signal interrupts there that it failed, though the kernel has made it.
    const status = uninterrupted(() => nft.nft_run_cmd_from_buffer(context, ptr(buffer)));
    // Reading a buffer also empties it, so both are read whatever happened.
    const output = text(nft.nft_ctx_get_output_buffer(context));
    const error = text(nft.nft_ctx_get_error_buffer(context));
    if (status !== 0) throw failure(commands, error);
    return output;
  };
  return {
    run,
    query(command) {
      nft.nft_ctx_output_set_flags(context, outputJson);
      try {
        return parsed(run(command));
      } finally {
        nft.nft_ctx_output_set_flags(context, 0);
      }
    },
    [Symbol.dispose]() {
      if (open) nft.nft_ctx_free(context);
      open = false;
    },
  };
}

function parsed(output: string): unknown {
  return output.startsWith("{") ? JSON.parse(output) : undefined;
}

/** The `nft` program: spawned synchronously, so it too runs in the calling thread's namespace. */
const programNftables: Nftables = {
  run(commands) {
    const result = Bun.spawnSync(["nft", "-f", "-"], { stdin: Buffer.from(commands) });
    if (!result.success) throw failure(commands, result.stderr.toString());
    return result.stdout.toString();
  },
  query(command) {
    const result = Bun.spawnSync(["nft", "-j", "-f", "-"], { stdin: Buffer.from(command) });
    if (!result.success) throw failure(command, result.stderr.toString());
    return parsed(result.stdout.toString());
  },
  [Symbol.dispose]: () => undefined,
};
