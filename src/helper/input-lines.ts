import { readSync } from "node:fs";

const stdin = 0;

/** Standard input line by line, waited for in this thread: for helpers that have nothing else to do meanwhile. */
export function* inputLines(): Generator<string, void, undefined> {
  const buffer = Buffer.alloc(1 << 16);
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const count = readSync(stdin, buffer, 0, buffer.length, null);
    const lines = (rest + decoder.decode(buffer.subarray(0, count), { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
    if (count > 0) continue;
    if (rest !== "") yield rest;
    return;
  }
}
