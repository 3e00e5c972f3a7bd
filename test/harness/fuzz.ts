import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { TugError } from "../../src/base/lib/errors.ts";
import { randomNumbers } from "../../src/base/lib/testdata/random-numbers.ts";

/** A parser of what others write, and what shall be true of it for every input. */
export interface FuzzTarget {
  readonly name: string;
  /** Inputs that are fine: mutants are made of them. */
  readonly seeds: readonly (string | Uint8Array)[];
  /** Words that mean something in this format. */
  readonly words?: readonly string[];
  /** Parses; a throw other than of `refusals` is a failure, as is what `expect` finds. */
  readonly run: (input: Buffer) => unknown;
  /** Classes of errors that are a refusal; TugError unless told. */
  readonly refusals?: readonly (abstract new (
    ...args: never[]
  ) => Error)[];
  /** Mutants in one run of the suite. */
  readonly rounds?: number;
}

/** How many times longer to look: TUG_FUZZ=1000 is minutes for a target. TUG_FUZZ_SEED makes it look elsewhere. */
const times = Number(process.env["TUG_FUZZ"] ?? 1);
const firstSeed = Number(process.env["TUG_FUZZ_SEED"] ?? 1);
const defaultRounds = 400;
/**
 * Milliseconds for one input, of at most some tens of kilobytes: far above any honest time on a machine under load. Of the clock on the wall and of
 * this process's work: a machine that stands still has not parsed.
 */
const patience = 5000;

const common = [
  "\0",
  "\n",
  "\r\n",
  " ",
  "\t",
  "-1",
  "0",
  "4294967296",
  "9".repeat(30),
  "1e999",
  "NaN",
  "\u{1f980}",
  "\ud800",
  "%00",
  "../",
  "__proto__",
  "constructor",
  "null",
  "{",
  "}",
  "[",
  "]",
  '"',
  "\\",
  "'",
  ",",
  ";",
  ":",
  "=",
  "/",
  "@",
  "*",
  "(",
  ")",
  "a".repeat(300),
]; // prettier-ignore

/** Inputs that once broke a target, as { target: [base64, …] }: they are tried first, for ever. */
const kept: Readonly<Record<string, readonly string[]>> = (() => {
  const path = new URL("./testdata/fuzz-seeds.json", import.meta.url);
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Record<string, string[]>) : {};
})();

/** Declares a test that feeds a target its kept inputs and some hundred mutants, the same ones every time. */
export function fuzz(target: FuzzTarget): void {
  const rounds = (target.rounds ?? defaultRounds) * times;
  test(
    `any input ends in a value or a refusal: ${target.name}`,
    async () => {
      const seeds = target.seeds.map((seed) => Buffer.from(seed));
      for (const seed of seeds) await attempt(target, seed, "its own seed");
      for (const input of kept[target.name] ?? [])
        await attempt(target, Buffer.from(input, "base64"), "kept");
      const random = randomNumbers(firstSeed);
      const words = [...common, ...(target.words ?? []), ...(target.words ?? [])];
      for (let round = 0; round < rounds; round++) {
        await attempt(target, mutant(seeds, words, random), `round ${round} of seed ${firstSeed}`);
      }
    },
    120_000 + times * 60_000,
  );
}

async function attempt(target: FuzzTarget, input: Buffer, which: string): Promise<void> {
  const told = () =>
    `${target.name}, ${which}, ${input.length} bytes: ${input.toString("base64").slice(0, 20_000)}`;
  const [start, used] = [performance.now(), process.cpuUsage()];
  try {
    // Most are synchronous: an await for each would cost more than the parsing.
    const result = target.run(Buffer.from(input));
    if (result instanceof Promise) await result;
  } catch (error) {
    const refusal = (target.refusals ?? [TugError]).some((kind) => error instanceof kind);
    if (!refusal) throw new Error(`not a refusal: ${told()}`, { cause: error });
  }
  const took = performance.now() - start;
  if (took <= patience) return;
  const { user, system } = process.cpuUsage(used);
  if (user + system > patience * 1000) expect(`${Math.round(took)} ms: ${told()}`).toBe("quicker");
}

function mutant(seeds: readonly Buffer[], words: readonly string[], random: () => number): Buffer {
  const below = (limit: number) => Math.floor(random() * limit);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  let bytes: Buffer = Buffer.from(pick(seeds));
  for (let steps = 1 + below(4); steps > 0; steps--) {
    const [at, length] = [below(bytes.length + 1), 1 + below(24)];
    const [before, behind] = [bytes.subarray(0, at), bytes.subarray(at)];
    switch (below(9)) {
      case 0:
        bytes = Buffer.concat([before, bytes.subarray(at + length)]);
        break;
      case 1:
      case 2:
        bytes = Buffer.concat([before, Buffer.from(pick(words)), behind]);
        break;
      case 3:
        bytes = Buffer.concat([before, Buffer.from(pick(words)), bytes.subarray(at + length)]);
        break;
      case 4:
        bytes = Buffer.concat([before, bytes.subarray(at, at + length), behind]);
        break;
      case 5: {
        const other = pick(seeds);
        bytes = Buffer.concat([before, other.subarray(below(other.length + 1))]);
        break;
      }
      case 6:
        bytes = Buffer.from(before);
        break;
      case 7:
        // The same again and again: what takes the square of the time shows.
        if (random() < 0.1) {
          const piece = bytes.subarray(at, at + length);
          const count = Math.floor(20_000 / Math.max(1, piece.length));
          bytes = Buffer.concat([before, ...Array<Buffer>(count).fill(piece), behind]).subarray(0, 60_000);
        }
        break;
      default:
        for (let flips = 1 + below(4); flips > 0 && bytes.length > 0; flips--) {
          const place = below(bytes.length);
          bytes[place] = random() < 0.5 ? below(256) : (bytes[place] ?? 0) ^ (1 << below(8));
        }
    }
  }
  return bytes;
}
