import { closeSync, existsSync, fstatSync, mkdtempSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "../../../base/lib/clock.ts";
import { silentLog } from "../../../base/lib/log.ts";
import { FileLogDriver } from "../drivers/file.ts";
import type { ContainerLog, LogReadOptions } from "../logging.ts";

/** Writes a spool as conmon 2.1 does, its way of reopening included: a new file is renamed over the path. */
export class SpoolWriter {
  readonly #path: string;
  #fd: number;
  reopens = 0;
  /** Whether it hears `reopen` (a dead conmon does not). */
  alive = true;
  /** Takes the request to reopen, and ends before it acts on it. */
  late = false;
  /** Until when whoever asked for a new file does not see that it is there. */
  unseen: Promise<void> | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#fd = openSync(path, "a", 0o640);
  }

  line(text: string, options: { stream?: "stdout" | "stderr"; partial?: boolean; at?: Date } = {}): void {
    const { stream = "stdout", partial = false, at = new Date() } = options;
    const time = at.toISOString().replace("Z", "000000+00:00");
    writeSync(this.#fd, `${time} ${stream} ${partial ? "P" : "F"} ${text}\n`);
  }

  raw(text: string): void {
    writeSync(this.#fd, text);
  }

  get size(): number {
    return fstatSync(this.#fd).size;
  }

  reopen(): void {
    if (!this.alive) throw new Error("ENXIO");
    if (this.late) return;
    this.reopens++;
    closeSync(this.#fd);
    this.#fd = openSync(`${this.#path}.tmp`, "a", 0o640);
    renameSync(`${this.#path}.tmp`, this.#path);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** One container's log on a directory of its own. */
export class LogFixture implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "tug-log-"));
  clock: Clock = systemClock;
  #writer: SpoolWriter | undefined;
  readonly #opened: ContainerLog[] = [];

  /** conmon opens the file when the container starts, after the log was opened. */
  get writer(): SpoolWriter {
    this.#writer ??= new SpoolWriter(join(this.directory, "ctr.log"));
    return this.#writer;
  }

  async open(options: Readonly<Record<string, string>> = {}): Promise<ContainerLog> {
    const driver = new FileLogDriver("json-file", { clock: this.clock, log: silentLog });
    driver.validate(options);
    const log = await driver.open({
      id: "c1",
      name: "web",
      imageId: "sha256:1",
      imageName: "busybox",
      created: "2024-01-01T00:00:00Z",
      command: "sh",
      labels: { tier: "front", other: "x" },
      env: ["MODE=a b", "SECRET=1"],
      directory: this.directory,
      options,
      reopen: async () => {
        this.writer.reopen();
        await this.writer.unseen;
      },
    });
    this.#opened.push(log);
    return log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const log of this.#opened) await log.remove();
    this.#writer?.close();
    if (existsSync(this.directory)) rmSync(this.directory, { recursive: true });
  }
}

export const everything: LogReadOptions = { stdout: true, stderr: true, follow: false };

/** The text of all records. */
export async function textOf(log: ContainerLog, options: Partial<LogReadOptions> = {}): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const record of log.read({ ...everything, ...options })) parts.push(record.bytes);
  return Buffer.concat(parts).toString();
}

/** The encoded form, whole. */
export async function encodedOf(
  log: ContainerLog,
  options: Partial<LogReadOptions & { framed: boolean; timestamps: boolean; details: string }> = {},
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  const all = { ...everything, framed: false, timestamps: false, details: "", ...options };
  for await (const bytes of log.readEncoded(all)) parts.push(bytes);
  return Buffer.concat(parts);
}
