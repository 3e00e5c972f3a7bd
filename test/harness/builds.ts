import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Result, type RunOptions, run, type TestDaemon } from "./daemon.ts";
import { file, tarEnd } from "./raw-tar.ts";

/** Debian's docker CLI: speaks the classic protocol, and BuildKit's with DOCKER_BUILDKIT=1. */
const docker = "/usr/bin/docker";

/** A build over the classic API. */
export interface ClassicResult {
  readonly status: number;
  /** What the stream said, as a terminal would show it. */
  readonly text: string;
  /** The error that ended it. */
  readonly error: string | undefined;
}

export type Files = Readonly<Record<string, string | Uint8Array>>;

/** Builds of a test file, over each of the daemon's protocols. */
export class Builds implements Disposable {
  readonly root: string;
  readonly #daemon: TestDaemon;
  #count = 0;

  constructor(daemon: TestDaemon) {
    this.#daemon = daemon;
    this.root = mkdtempSync("/tmp/tug-e2e-builds-");
  }

  /** Why BuildKit's protocol cannot be spoken here; undefined when it can. */
  static missing(): string | undefined {
    return Bun.which(docker) ? undefined : "the docker CLI is not installed (Debian package docker.io)";
  }

  /** A directory with these files. */
  context(files: Files): string {
    const folder = join(this.root, `context-${this.#count++}`);
    mkdirSync(folder);
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    return folder;
  }

  /** The command that builds over BuildKit's protocol, and its environment. */
  command(context: string, args: readonly string[] = []): { argv: string[]; env: Record<string, string> } {
    const env = {
      DOCKER_HOST: this.#daemon.host,
      DOCKER_BUILDKIT: "1",
      DOCKER_CONFIG: join(this.root, "config"),
    };
    return { argv: [docker, "build", "--progress=plain", ...args, context], env };
  }

  /** Over BuildKit's protocol; progress is on standard error. */
  buildkit(files: Files | string, args: readonly string[] = [], options: RunOptions = {}): Promise<Result> {
    const { argv, env } = this.command(typeof files === "string" ? files : this.context(files), args);
    return run(argv, { timeout: 120_000, ...options, env: { ...env, ...options.env } });
  }

  /** Over the classic protocol; `context` is files, or the body itself. */
  async classic(
    context: Files | Uint8Array | ReadableStream<Uint8Array>,
    query: Readonly<Record<string, string>> = {},
    init: { readonly signal?: AbortSignal; readonly headers?: Record<string, string> } = {},
  ): Promise<ClassicResult> {
    const plain = context instanceof Uint8Array || context instanceof ReadableStream;
    const body = plain ? context : contextTar(context);
    const response = await fetch(`http://tug/build?${new URLSearchParams(query)}`, {
      unix: this.#daemon.socket,
      method: "POST",
      // A connection that waits for the next call is a descriptor of the daemon's.
      keepalive: false,
      body: body as Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>,
      headers: { "content-type": "application/x-tar", ...init.headers },
      ...(init.signal ? { signal: init.signal } : {}),
    });
    const said = await response.text();
    let text = "";
    let error: string | undefined;
    for (const line of said.split("\n").filter((one) => one.trim() !== "")) {
      const message = JSON.parse(line) as { stream?: string; error?: string; message?: string };
      text += message.stream ?? "";
      error = message.error ?? message.message ?? error;
    }
    return { status: response.status, text, error };
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

export function contextTar(files: Files): Buffer {
  const members = Object.entries(files).map(([name, data]) => file(name, "", { data }));
  return Buffer.concat([...members, tarEnd]);
}
