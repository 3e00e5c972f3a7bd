import { expect, test } from "bun:test";
import { copy, image, local, run, SolverBench } from "./testdata/bench.ts";

test("a build runs once what it needs; the next one runs and pulls nothing", async () => {
  await using bench = await SolverBench.open();
  const base = image("base");
  const made = run("make", base);
  const top = copy(local(), "a", made);
  const unused = run("never", base);
  expect(unused.digest).not.toBe(made.digest);
  const first = await bench.solve([top]);
  expect(first.trees).toEqual([{ os: "base", make: "make", a: "1" }]);
  expect(bench.ran.toSorted()).toEqual(["copy a", "local s1", "make", "pull base"]);
  expect(first.heard.ends["make"]).toBe("done");
  bench.ran.length = 0;
  const again = await bench.solve([top]);
  expect(again.trees).toEqual(first.trees);
  expect(again.keys).toEqual(first.keys);
  expect(bench.ran).toEqual([]);
  expect(again.heard.ends).toMatchObject({ make: "cached", [top.name]: "cached", [base.name]: "cached" });
});

test("steps that do not depend on each other run side by side, those that do in their order", async () => {
  await using bench = await SolverBench.open();
  const both = Promise.withResolvers<void>();
  let begun = 0;
  for (const name of ["left", "right"])
    bench.commands.set(name, async ({ signal }, tree) => {
      if (++begun === 2) both.resolve();
      // Each waits for the other: one after the other they would never end.
      await both.promise;
      signal.throwIfAborted();
      await Bun.write(`${tree}/${name}`, name);
    });
  const base = image("base");
  const [left, right] = [run("left", base), run("right", base)];
  const top = copy(right, "right", copy(left, "left", run("root", base)));
  const { trees } = await bench.solve([top]);
  expect(trees[0]).toEqual({ os: "base", root: "root", left: "left", right: "right" });
  expect(bench.ran.indexOf("copy left")).toBeGreaterThan(bench.ran.indexOf("left"));
}, 30_000);
