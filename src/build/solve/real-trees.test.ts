import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readMountInfo } from "../../base/sys/mount/mountinfo.ts";
import type { Mount } from "../../core/snapshot/snapshotter.ts";
import { withinMounts } from "../../core/snapshot/testdata/within-mounts.ts";
import type { ExecOp } from "../graph.ts";
import { FileRunner } from "../run/file/file-runner.ts";
import { BuildFilesHelper } from "../run/file/helper.ts";
import type { StepRunner } from "../run/runner.ts";
import { copy, Heard, image, run, SolverBench, session } from "./testdata/bench.ts";

/** Steps whose programs are functions on the mounted root. */
function programs(
  bench: SolverBench,
  all: Readonly<Record<string, (root: string) => void>>,
): StepRunner<ExecOp> {
  return {
    run: async ({ op, inputs }) => {
      const root = op.root === undefined ? undefined : inputs[op.root]?.snapshot;
      bench.ran.push(op.args.join());
      return await bench.steps.make(root, async ({ mounts }) =>
        withinMounts(bench.stores.base, mounts, (tree) => all[op.args.join()]?.(tree)),
      );
    },
  };
}

for (const driver of ["overlay2", "vfs"] as const) {
  test(`stages on real mounts: files are removed, replaced and copied between them (${driver})`, async () => {
    await using stack = new AsyncDisposableStack();
    const helperCommand = [process.execPath, join(import.meta.dir, "../../helper/main.ts")];
    const helper = stack.use(new BuildFilesHelper({ helperCommand }));
    const bench = stack.use(
      await SolverBench.open({
        driver,
        runners: (own) => {
          const scratch = join(own.stores.base, "scratch");
          mkdirSync(scratch, { recursive: true });
          const exec = programs(own, {
            fill: (root) => {
              mkdirSync(join(root, "dir"));
              writeFileSync(join(root, "dir/one"), "1");
              writeFileSync(join(root, "gone"), "x");
            },
            change: (root) => {
              rmSync(join(root, "gone"));
              rmSync(join(root, "dir"), { recursive: true });
              mkdirSync(join(root, "dir"));
              writeFileSync(join(root, "dir/two"), "2");
            },
          });
          return { exec, file: new FileRunner({ helper, snapshots: own.steps, scratch }) };
        },
      }),
    );
    const built = run("change", run("fill", image("base")));
    const top = copy(built, "dir", image("base"));
    const { signal } = new AbortController();
    const options = { session: session("s1"), signal, progress: new Heard() };
    const [stage, final] = await bench.solver.solve([built, top], options);
    const look = (view: readonly Mount[]) =>
      withinMounts(bench.stores.base, view, (root) =>
        readdirSync(root, { recursive: true, encoding: "utf8" }).toSorted(),
      );
    expect(look(bench.steps.view(stage?.snapshot))).toEqual(["dir", "dir/two", "os"]);
    expect(look(bench.steps.view(final?.snapshot))).toEqual(["os", "two"]);
    expect(look(bench.steps.view(undefined))).toEqual([]);
    // A throw-away view is written to, and what it stands on is not.
    {
      await using scratch = await bench.steps.scratch(final?.snapshot);
      withinMounts(bench.stores.base, scratch.mounts, (root) => {
        writeFileSync(join(root, "two"), "changed");
        expect(readFileSync(join(root, "two"), "utf8")).toBe("changed");
      });
    }
    withinMounts(bench.stores.base, bench.steps.view(final?.snapshot), (root) => {
      expect(readFileSync(join(root, "two"), "utf8")).toBe("2");
      expect(() => writeFileSync(join(root, "two"), "x")).toThrow("EROFS");
    });
    for (const result of [stage, final]) result?.[Symbol.dispose]();
    bench.ran.length = 0;
    await bench.solve([built, top]);
    expect(bench.ran).toEqual([]);
    expect(bench.names.filter((name) => name.endsWith("-rw"))).toEqual([]);
    expect(readMountInfo().filter(({ mountpoint }) => mountpoint.startsWith(bench.stores.base))).toEqual([]);
  }, 60_000);
}
