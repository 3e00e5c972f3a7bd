import { ellipsis } from "../../format/text.ts";
import type { Output } from "../../io/output.ts";
import { type Palette, paint, paletteOf } from "./colors.ts";
import type { BuildDisplay } from "./trace.ts";
import { BuildTrace, duration, isCanceled, partText, secondsBetween, type TracedVertex } from "./trace.ts";

/** Milliseconds between two pictures. */
const pace = 100;
/** Lines of a running step's output that are shown below it, unless BUILDKIT_TTY_LOG_LINES says how many. */
const usualTail = 6;

/** How lines of steps look. */
interface Look {
  readonly columns: number;
  readonly now: bigint;
  readonly last: boolean;
  readonly palette: Palette;
  readonly tail: number;
}

/**
 * `--progress=tty`: the whole build as a picture that is drawn over itself: a head with time and count, a line for each step with
 * its time at the right edge, its parts and the end of its output below it while it runs. Where there are more lines than the terminal has, what is
 * over goes first.
 */
export class TerminalDisplay implements BuildDisplay {
  readonly trace: BuildTrace;
  readonly #out: Output;
  readonly #now: () => bigint;
  readonly #label: string;
  readonly #palette: Palette;
  readonly #tail: number;
  readonly #timer: Timer;
  #begun: bigint | undefined;
  /** Columns that each line of the picture takes. */
  #drawn: readonly number[] = [];

  constructor(
    out: Output,
    deps: {
      readonly now: () => bigint;
      readonly label: string;
      readonly env: Readonly<Record<string, string | undefined>>;
    },
  ) {
    this.#out = out;
    this.#palette = paletteOf(deps.env);
    const tail = deps.env["BUILDKIT_TTY_LOG_LINES"] ?? "";
    this.#tail = /^[1-9]\d{0,3}$/.test(tail) ? Number(tail) : usualTail;
    this.#now = deps.now;
    this.#label = deps.label;
    this.trace = new BuildTrace({ vertex: () => (this.#begun ??= this.#now()) });
    this.#timer = setInterval(() => this.#draw(false), pace);
    this.#timer.unref();
  }

  async finish(): Promise<void> {
    clearInterval(this.#timer);
    this.#draw(true);
    await this.#out.flush();
  }

  #draw(last: boolean): void {
    if (this.#begun === undefined) return;
    const { width, height } = this.#out.size();
    const columns = (width || 80) - 1;
    const lines = this.#lines(
      last,
      columns,
      last ? Number.POSITIVE_INFINITY : Math.max(3, (height || 25) - 2),
    );
    // The cursor is hidden while it jumps; each line is cleared as it is written, so nothing flickers. It need not be at the left: what is typed
    // (^C) is shown as well.
    const rows = this.#rows(width || 80);
    const up = rows > 0 ? `\x1b[${rows}A` : "";
    const text = lines.map((line) => `\x1b[2K${line}\n`).join("");
    const rest = "\x1b[0J";
    this.#drawn = lines.map((line) => Bun.stringWidth(line));
    this.#out.write(`\x1b[?25l\r${up}${text}${rest}\x1b[?25h`).catch(() => undefined);
  }

  /** Rows that the picture takes by now: a terminal that became narrower wraps what was drawn. */
  #rows(width: number): number {
    return this.#drawn.reduce((sum, columns) => sum + Math.max(1, Math.ceil(columns / width)), 0);
  }

  #lines(last: boolean, columns: number, room: number): string[] {
    const { vertices } = this.trace;
    const now = this.#now();
    const done = vertices.filter(({ completed }) => completed !== undefined).length;
    const total = secondsBetween(this.#begun, now).toFixed(1);
    const state = last && done === vertices.length ? " FINISHED" : "";
    const head = aligned(`[+] Building ${total}s (${done}/${vertices.length})${state}`, this.#label, columns);
    const look = { columns, now, last, palette: this.#palette, tail: this.#tail };
    const blocks = vertices.map((vertex) => stepLines(vertex, look));
    return [head, ...fitted(vertices, blocks, room - 1)];
  }
}

/** The step's line, and while it runs (or failed) its parts and the end of its output. */
function stepLines(vertex: TracedVertex, { columns, now, last, palette, tail }: Look): string[] {
  const { error, cached, completed } = vertex;
  const mark = error !== undefined ? (isCanceled(error) ? "CANCELED " : "ERROR ") : cached ? "CACHED " : "";
  const line = aligned(` => ${mark}${plain(vertex.name)}`, `${duration(vertex, now).toFixed(1)}s`, columns);
  const color = colorOf(vertex, palette);
  const lines = [paint(line, color)];
  const parts = [...vertex.parts.values()].filter(
    (part) => completed === undefined || part.completed === undefined || isInternal(vertex),
  );
  for (const part of parts) {
    const seconds = secondsBetween(part.started, part.completed ?? now).toFixed(1);
    const text = partText({ ...part, started: undefined, completed: undefined }, now);
    lines.push(paint(aligned(` => => ${plain(text)}`, `${seconds}s`, columns), color));
  }
  if (completed === undefined && !last) {
    for (const { text } of vertex.tail.slice(-tail))
      lines.push(ellipsis(` => => # ${plain(text.slice(text.lastIndexOf("\r") + 1))}`, columns));
  }
  return lines;
}

/** What is over is left out first, oldest first, then the output of what runs; the newest steps stay. */
function fitted(vertices: readonly TracedVertex[], blocks: readonly string[][], room: number): string[] {
  const kept = blocks.map((block) => [...block]);
  const count = () => kept.reduce((sum, block) => sum + block.length, 0);
  for (const [index, vertex] of vertices.entries()) {
    if (count() <= room) break;
    if (vertex.completed !== undefined) kept[index] = [];
  }
  for (const block of kept) {
    if (count() <= room) break;
    block.splice(1);
  }
  return kept.flat().slice(-room);
}

function isInternal(vertex: TracedVertex): boolean {
  return vertex.name.startsWith("[internal]") || vertex.name.startsWith("exporting");
}

/** Text at the left, time at the right edge; what is too long is cut. */
function aligned(left: string, right: string, columns: number): string {
  const room = columns - Bun.stringWidth(right) - 1;
  const text = Bun.stringWidth(left) > room ? ellipsis(left, room) : left;
  return `${text}${" ".repeat(Math.max(1, columns - Bun.stringWidth(text) - Bun.stringWidth(right)))}${right}`;
}

function colorOf({ error, completed }: TracedVertex, palette: Palette): string {
  if (error !== undefined) return isCanceled(error) ? palette.cancel : palette.error;
  return completed === undefined ? "" : palette.run;
}

/** Text as one line that moves no cursor, whoever wrote it: names have tabs, and what a Dockerfile of others has. */
function plain(text: string): string {
  const control = /[\x00-\x1f\x7f-\x9f]/g;
  return Bun.stripANSI(text).replaceAll("\t", "    ").replace(control, "");
}
