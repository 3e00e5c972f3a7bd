import { expect, test } from "bun:test";
import type { Digest } from "../../base/lib/ids.ts";
import type { HeldResult } from "./held-result.ts";
import { type Outputs, SiblingRuns } from "./sibling-runs.ts";

const key = "sha256:a" as Digest;
const never = new AbortController().signal;

/** What a run made, and how many of it were let go. */
function made() {
  const gone: number[] = [];
  const result = (output: number) =>
    ({ [Symbol.dispose]: () => void gone.push(output) }) as unknown as HeldResult;
  const outputs: Outputs = new Map([-1, 0].map((output) => [output, result(output)]));
  return { outputs, gone };
}

test("siblings run once, whichever comes first, and let go of the results with the last of them", async () => {
  const runs = new SiblingRuns();
  const { outputs, gone } = made();
  let count = 0;
  const started = Promise.withResolvers<Outputs>();
  const work = () => {
    count++;
    return started.promise;
  };
  const [first, second] = [runs.join(key), runs.join(key)];
  const both = [first.run(never, work), second.run(never, work)];
  started.resolve(outputs);
  expect(await Promise.all(both)).toEqual([outputs, outputs]);
  const late = runs.join(key);
  expect(await late.run(never, work)).toBe(outputs);
  expect(count).toBe(1);
  first[Symbol.dispose]();
  second[Symbol.dispose]();
  await Promise.resolve();
  expect(gone).toEqual([]);
  late[Symbol.dispose]();
  await Promise.resolve();
  expect(gone).toEqual([-1, 0]);
  const other = made();
  using anew = runs.join(key);
  expect(await anew.run(never, async () => other.outputs)).toBe(other.outputs);
});

test("a run that was given up or failed is another's to try, and who gives up waits no more", async () => {
  const runs = new SiblingRuns();
  const { outputs } = made();
  const failing = Promise.withResolvers<Outputs>();
  using first = runs.join(key);
  using second = runs.join(key);
  using third = runs.join(key);
  const one = first.run(never, () => failing.promise);
  const two = second.run(never, async () => outputs);
  const stop = new AbortController();
  const three = third.run(stop.signal, async () => outputs);
  stop.abort(new Error("enough"));
  await expect(three).rejects.toThrow("enough");
  failing.reject(new Error("cancelled"));
  await expect(one).rejects.toThrow("cancelled");
  expect(await two).toBe(outputs);
});
