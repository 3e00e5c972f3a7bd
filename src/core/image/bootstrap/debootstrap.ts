import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { internal, TugError } from "../../../base/lib/errors.ts";
import { randomId } from "../../../base/lib/ids.ts";
import { removeDirectory } from "../../../base/sys/remove-tree.ts";
import { streamOf } from "../archive/archives.ts";
import { type BootstrapReport, type BootstrapRequest, bootstrapHelper } from "./protocol.ts";

export interface DebootstrapDeps {
  /** Folder below the data root; holds the packages' cache and runs' scratch. */
  readonly root: string;
  /** Command that a helper's name is appended to. */
  readonly helperCommand: readonly string[];
  /** Absolute path of a program, if it is installed. */
  readonly findProgram: (name: string) => string | undefined;
}

export type BootstrapOptions = Omit<BootstrapRequest, "program" | "scratch" | "cache" | "keyring"> & {
  /** Selects the cache: packages of two distributions may have one name. */
  readonly distribution: string;
  /** A path on this host, or the keyring itself. */
  readonly keyring: string | Uint8Array | undefined;
};

export interface BootstrapHandlers<T> {
  readonly onReport: (report: BootstrapReport) => void;
  /** Gets the layer, a gzip'd tar that is to be read to its end. */
  readonly take: (
    layer: ReadableStream<Uint8Array>,
    tree: Extract<BootstrapReport, { kind: "tree" }>,
  ) => Promise<T>;
}

/** debootstrap(8), run by a helper process in namespaces of its own. */
export class Debootstrap {
  readonly #deps: DebootstrapDeps;

  constructor(deps: DebootstrapDeps) {
    this.#deps = deps;
  }

  /** Removes what a daemon that died was making. */
  async recover(): Promise<void> {
    for (const name of this.#entries("")) {
      if (name.startsWith("run-")) await removeDirectory(join(this.#deps.root, name));
    }
  }

  /** Allocated bytes of the packages that are kept. */
  cacheSize(): number {
    let bytes = 0;
    for (const distribution of this.#entries("cache")) {
      for (const name of this.#entries(`cache/${distribution}`)) {
        const path = join(this.#deps.root, "cache", distribution, name);
        bytes += (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
      }
    }
    return bytes;
  }

  /** Forgets the packages; returns the bytes freed. */
  async prune(): Promise<number> {
    const bytes = this.cacheSize();
    await removeDirectory(join(this.#deps.root, "cache"));
    return bytes;
  }

  #entries(path: string): readonly string[] {
    const folder = join(this.#deps.root, path);
    return statSync(folder, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(folder) : [];
  }

  /**
   * Runs it and returns what `take` made of the layer. When this returns or throws, the processes and the tree are gone; the packages are kept.
   */
  async run<T>(options: BootstrapOptions, handlers: BootstrapHandlers<T>, signal: AbortSignal): Promise<T> {
    const program = this.#program("debootstrap");
    const [unshare, setpriv] = [this.#program("unshare"), this.#program("setpriv")];
    const { distribution, keyring, ...rest } = options;
    const scratch = join(this.#deps.root, `run-${randomId().slice(0, 12)}`);
    const cache = join(this.#deps.root, "cache", distribution);
    mkdirSync(cache, { recursive: true });
    mkdirSync(scratch, { mode: 0o700 });
    try {
      if (keyring instanceof Uint8Array) writeFileSync(join(scratch, "keyring.gpg"), keyring);
      const request: BootstrapRequest = {
        ...rest,
        program,
        scratch,
        cache,
        keyring: keyring instanceof Uint8Array ? join(scratch, "keyring.gpg") : keyring,
      };
      const namespaces = ["--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"];
      const command = [
        ...[setpriv, "--pdeathsig", "KILL", unshare, ...namespaces, "--propagation", "private", "--"],
        ...[...this.#deps.helperCommand, bootstrapHelper],
      ];
      return await converse(command, request, handlers, signal);
    } finally {
      await removeDirectory(scratch);
    }
  }

  #program(name: string): string {
    const path = this.#deps.findProgram(name);
    if (path !== undefined) return path;
    const from = name === "debootstrap" ? "debootstrap" : "util-linux";
    throw new TugError(
      "not-implemented",
      `the daemon's host lacks the program ${name}: install the package ${from} there (Debian and Ubuntu: apt-get install ${from})`,
    );
  }
}

async function converse<T>(
  command: readonly string[],
  request: BootstrapRequest,
  handlers: BootstrapHandlers<T>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const child = Bun.spawn([...command], {
    stdin: Buffer.from(JSON.stringify(request)),
    stdout: "pipe",
    stderr: "pipe",
    cwd: "/",
    env: process.env,
  });
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  let taken: Promise<T> | undefined;
  let last: BootstrapReport | undefined;
  let complaint = "";
  try {
    for await (const line of lines(child.stderr)) {
      const report = line.startsWith("{") ? (JSON.parse(line) as BootstrapReport) : undefined;
      if (!report) complaint = `${complaint}\n${line}`.slice(-2000);
      else {
        last = report;
        handlers.onReport(report);
      }
      // Not awaited yet: it ends with the stream, and reports go on meanwhile.
      if (report?.kind === "tree") {
        taken = handlers.take(streamOf(whole(child)), report);
        taken.catch(() => kill());
      }
    }
    const code = await child.exited;
    signal.throwIfAborted();
    if (last?.kind === "failed") throw new TugError(last.code, last.message);
    if (taken && last?.kind === "done") return await taken;
    await taken?.catch(() => undefined);
    throw internal(
      `the bootstrap helper ended with ${child.signalCode ?? `exit code ${code}`}: ${complaint.trim()}`,
    );
  } finally {
    signal.removeEventListener("abort", kill);
    if (child.exitCode === null && child.signalCode === null) kill();
    await child.exited;
    await taken?.catch(() => undefined);
  }
}

/** The child's output, which fails where the child does: what came until then is no layer. */
async function* whole(
  child: Bun.Subprocess<Buffer, "pipe", "pipe">,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* child.stdout;
  if ((await child.exited) !== 0) throw internal("the bootstrap helper ended before its layer was whole");
}

async function* lines(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  if (rest !== "") yield rest;
}

/** Whether programs of this QEMU name run here through binfmt_misc, also in another root ("F": the interpreter is held open). */
export function runsForeign(qemu: string): boolean {
  const path = `/proc/sys/fs/binfmt_misc/qemu-${qemu}`;
  if (!statSync(path, { throwIfNoEntry: false })) return false;
  const text = readFileSync(path, "utf8");
  return text.startsWith("enabled") && /^flags: \S*F/m.test(text);
}
