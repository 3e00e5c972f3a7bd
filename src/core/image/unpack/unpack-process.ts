import { type ErrorCode, internal, TugError } from "../../../base/lib/errors.ts";
import { wholeLines } from "../../../base/lib/whole-lines.ts";
import {
  type DoneReport,
  type UnpackNews,
  type UnpackReport,
  type UnpackRequest,
  unpackHelper,
} from "./protocol.ts";

/** One run of the helper that unpacks. Disposing it kills it where it has not ended, and waits for its end. */
export class UnpackProcess implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  /** Settles when the process has ended: with what it did, or with why it did not. */
  readonly done: Promise<DoneReport>;
  /** Gets the bytes of the blob that are unpacked. */
  onProgress: (bytes: number) => void = () => undefined;

  /** `fd`: the helper's descriptor 3. More can be told until `end`. */
  constructor(helperCommand: readonly string[], request: UnpackRequest, fd?: number) {
    this.#child = Bun.spawn([...helperCommand, unpackHelper, String(process.pid)], {
      stdio: fd === undefined ? ["pipe", "pipe", "pipe"] : ["pipe", "pipe", "pipe", fd],
      env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin" },
    }) as Bun.Subprocess<"pipe", "pipe", "pipe">;
    this.#write(request);
    this.done = this.#outcome();
    // Who waits for it may come later.
    this.done.catch(() => undefined);
  }

  tell(news: UnpackNews): void {
    this.#write(news);
  }

  /** Nothing more will be told. */
  end(): void {
    void Promise.resolve(this.#child.stdin.end()).catch(() => undefined);
  }

  kill(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    this.end();
    await this.done.catch(() => undefined);
  }

  #write(line: UnpackRequest | UnpackNews): void {
    try {
      this.#child.stdin.write(`${JSON.stringify(line)}\n`);
      void Promise.resolve(this.#child.stdin.flush()).catch(() => undefined);
    } catch {
      // It ended before its input did: `done` tells why.
    }
  }

  async #outcome(): Promise<DoneReport> {
    const complaint = this.#child.stderr.text();
    let last: UnpackReport | undefined;
    try {
      for await (const line of wholeLines(this.#child.stdout)) {
        // Only our own helper writes here.
        const report = JSON.parse(line) as UnpackReport;
        last = report;
        if (report.kind === "progress") this.onProgress(report.bytes);
      }
    } finally {
      await this.#child.exited;
    }
    if (last?.kind === "done") return last;
    if (last?.kind === "failed") throw new TugError(known(last.code), last.message);
    const how = this.#child.signalCode ?? `exit code ${this.#child.exitCode}`;
    throw internal(`the unpack helper ended with ${how}: ${(await complaint).trim().slice(-2000)}`);
  }
}

/** The helper says what is wrong with a layer in our own codes; anything it cannot tell is internal. */
function known(code: ErrorCode): ErrorCode {
  return code === "data-loss" || code === "resource-exhausted" || code === "invalid-argument"
    ? code
    : "internal";
}
