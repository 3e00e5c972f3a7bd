import { TugError } from "../../base/lib/errors.ts";
import type { ProgressMessage } from "../../client/images/progress.ts";
import type { Output } from "../io/output.ts";
import { progressText } from "./bar.ts";

/** Shows a progress stream; rejects with the error it carries. `aux` hands over the extra values on the way. */
export async function showProgress(
  messages: AsyncIterable<ProgressMessage>,
  out: Output,
  aux?: (value: unknown) => void,
): Promise<void> {
  const board = out.isTerminal ? new Board(out) : undefined;
  for await (const message of messages) {
    if (message.aux !== undefined) {
      aux?.(message.aux);
      continue;
    }
    const failure = message.errorDetail?.message ?? message.error;
    if (failure !== undefined) throw new TugError("internal", failure);
    if (board) await board.show(message);
    else await plainLine(message, out);
  }
}

/** Takes everything and shows nothing (`--quiet`). */
export const silentOutput: Output = {
  write: () => Promise.resolve(),
  flush: () => Promise.resolve(),
  isTerminal: false,
  size: () => ({ width: 0, height: 0 }),
};

/** Without a terminal every status is a line and moving bars are left out. */
async function plainLine(message: ProgressMessage, out: Output): Promise<void> {
  if (message.stream !== undefined) return await out.write(message.stream);
  const { current = 0, total = 0 } = message.progressDetail ?? {};
  if (current > 0 || total > 0 || message.status === undefined) return;
  await out.write(
    `${message.id === undefined || message.id === "" ? "" : `${message.id}: `}${message.status}\n`,
  );
}

/** One line for each layer, rewritten in place by moving the cursor up and down. */
class Board {
  readonly #out: Output;
  readonly #rows = new Map<string, number>();
  #lines = 0;
  readonly #started = new Map<string, number>();

  constructor(out: Output) {
    this.#out = out;
  }

  async show(message: ProgressMessage): Promise<void> {
    const { id, status } = message;
    if (message.stream !== undefined) {
      this.#rows.clear();
      return await this.#out.write(message.stream);
    }
    const hasBar = message.progressDetail !== undefined && Object.keys(message.progressDetail).length > 0;
    if (id === undefined || id === "") {
      this.#rows.clear(); // what follows starts a new block of lines
      return await this.#out.write(`${status ?? ""}${hasBar ? ` ${this.#bar(message)}\r` : "\n"}`);
    }
    const text = `${id}: ${status ?? ""}${hasBar ? ` ${this.#bar(message)}` : ""}`;
    const row = this.#rows.get(id);
    if (row === undefined) {
      if (this.#rows.size === 0) this.#lines = 0;
      this.#rows.set(id, this.#lines++);
      return await this.#out.write(`\x1b[2K${text}\n`);
    }
    const up = this.#lines - row;
    await this.#out.write(`\x1b[${up}A\x1b[2K\r${text}\r\x1b[${up}B`);
  }

  #bar(message: ProgressMessage): string {
    const key = `${message.id ?? ""} ${message.status ?? ""}`;
    const { start = 0 } = message.progressDetail ?? {};
    const began = start > 0 ? start * 1000 : (this.#started.get(key) ?? Date.now());
    this.#started.set(key, began);
    // A terminal that does not tell its width is taken for a wide one.
    return progressText(message.progressDetail ?? {}, this.#out.size().width || 200, Date.now() - began);
  }
}
