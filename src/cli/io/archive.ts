import {
  closeSync,
  createReadStream,
  existsSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  write,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { invalid } from "../../base/lib/errors.ts";
import { systemText } from "../../base/lib/system-text.ts";
import type { Body } from "../../client/http/response.ts";
import type { Context } from "../context.ts";

/** A file's bytes for sending; a missing file is told as Docker tells it, before anything is sent. */
export function readFileChunks(path: string): AsyncIterable<Uint8Array> {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    throw invalid(`open ${path}: ${systemText(error)}`, error);
  }
  return chunksOf(path, fd);
}

async function* chunksOf(path: string, fd: number): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* createReadStream(path, { fd, highWaterMark: 1 << 20 });
  } catch (error) {
    throw invalid(`read ${path}: ${systemText(error)}`, error);
  }
}

/**
 * Writes an archive to a file or to standard output. The file appears under its name only when it is whole; an archive is
 * not poured onto a terminal.
 */
export async function writeBody(
  context: Context,
  output: string,
  verb: string,
  open: () => Promise<Body>,
): Promise<void> {
  if (output === "") {
    if (context.out.isTerminal)
      throw invalid(`cowardly refusing to ${verb} to a terminal. Use the -o flag or redirect`);
    for await (const chunk of await open()) await context.out.write(chunk);
    return;
  }
  checkTarget(output, verb);
  const body = await open();
  let file: WholeFile;
  try {
    file = new WholeFile(output, 0o600);
  } catch (error) {
    body.cancel();
    throw invalid(`failed to ${verb} image: invalid output path: ${systemText(error)}`, error);
  }
  await file.fill(body);
}

/** A file that appears under its name only when it is whole; a device or a pipe takes it as it comes. */
export class WholeFile {
  readonly #target: string;
  readonly #part: string;
  readonly #direct: boolean;
  readonly #fd: number;

  /** Throws the system's error when it cannot be opened. */
  constructor(path: string, mode: number) {
    this.#target = existsSync(path) ? realpathSync(path) : path; // a link stays a link
    this.#part = join(dirname(this.#target), `.${basename(this.#target)}.${process.pid}.part`);
    this.#direct = statSync(this.#target, { throwIfNoEntry: false })?.isFile() === false;
    this.#fd = openSync(this.#direct ? this.#target : this.#part, "w", mode);
  }

  /** Writes everything; what failed leaves the file as it was before. */
  async fill(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      try {
        for await (const chunk of chunks) await this.#write(chunk);
      } finally {
        closeSync(this.#fd);
      }
      if (!this.#direct) renameSync(this.#part, this.#target);
    } catch (error) {
      if (!this.#direct) rmSync(this.#part, { force: true });
      throw error;
    }
  }

  async #write(chunk: Uint8Array): Promise<void> {
    try {
      await writeAll(this.#fd, chunk);
    } catch (error) {
      throw invalid(`write ${this.#target}: ${systemText(error)}`, error);
    }
  }
}

function checkTarget(output: string, verb: string): void {
  const what = verb === "save" ? "image" : "container";
  const folder = dirname(output);
  if (!statSync(folder, { throwIfNoEntry: false })) {
    throw invalid(
      `failed to ${verb} ${what}: invalid output path: stat ${folder}: no such file or directory`,
    );
  }
  if (statSync(output, { throwIfNoEntry: false })?.isDirectory()) {
    throw invalid(`failed to ${verb} ${what}: cannot write to a directory`);
  }
}

async function writeAll(fd: number, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length; ) {
    const from = at;
    at += await new Promise<number>((resolve, reject) => {
      write(fd, chunk, from, chunk.length - from, null, (error, wrote) =>
        error ? reject(error) : resolve(wrote),
      );
    });
  }
}
