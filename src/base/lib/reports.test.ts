import { expect, test } from "bun:test";
import { reportsOf } from "./reports.ts";
import { Signal } from "./signal.ts";

function reporter() {
  const changed = new Signal();
  const waiting: number[] = [];
  return {
    changed,
    tell: (value: number) => {
      waiting.push(value);
      changed.notify();
    },
    take: () => waiting.splice(0),
  };
}

test("every report comes before the end, also what is told while a reader is busy and right before the work is done", async () => {
  const { changed, tell, take } = reporter();
  const work = Promise.withResolvers<void>();
  tell(1);
  const seen: number[] = [];
  for await (const value of reportsOf(work.promise, changed, take)) {
    seen.push(value);
    if (value === 1) setTimeout(() => tell(2), 1);
    if (value === 2) tell(3);
    if (value === 3) {
      tell(4);
      work.resolve();
    }
  }
  expect(seen).toEqual([1, 2, 3, 4]);
});

test("the work's failure is thrown after what it told", async () => {
  const { changed, tell, take } = reporter();
  const work = (async () => {
    tell(1);
    await Promise.resolve();
    tell(2);
    throw new Error("broken");
  })();
  const seen: number[] = [];
  const read = async () => {
    for await (const value of reportsOf(work, changed, take)) seen.push(value);
  };
  await expect(read()).rejects.toThrow("broken");
  expect(seen).toEqual([1, 2]);
});
