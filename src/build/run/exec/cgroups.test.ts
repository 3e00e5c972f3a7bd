import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { until } from "../../../base/lib/testdata/until.ts";
import { StepCgroups } from "./cgroups.ts";
import { ExecBench } from "./testdata/exec-bench.ts";
import { stepsDirectory } from "./workspace.ts";

// A machine under load takes its time.
setDefaultTimeout(60_000);

let bench: ExecBench;
beforeAll(async () => {
  bench = await ExecBench.open();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

/** Pids of the keepers of this bench's steps. */
function keepers(): readonly number[] {
  const steps = stepsDirectory(bench.deps.root);
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`keeper.sh\0${steps}\0`)
        ? [Number(pid)]
        : [];
    } catch (error) {
      if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
      throw error;
    }
  });
}

async function ended(pid: number): Promise<void> {
  await until(() => !keepers().includes(pid));
}

test("steps at the same time have one keeper, which ends when none follows", async () => {
  const cgroups = new StepCgroups(bench.deps, 20);
  const steps = await Promise.all(["a", "b", "c"].map((id) => cgroups.acquire(id, "")));
  expect(new Set(steps.map(({ cgroup }) => cgroup.own)).size).toBe(3);
  const [keeper = 0, ...others] = keepers();
  expect(others).toEqual([]);
  for (const { release } of steps) release();
  await ended(keeper);
  expect(keepers()).toEqual([]);
  // It was ended by us: a later one is not kept from its work.
  const again = await cgroups.acquire("d", "");
  expect(keepers().length).toBe(1);
  again.release();
  await cgroups[Symbol.asyncDispose]();
  expect(keepers()).toEqual([]);
});

test("a keeper that somebody killed is replaced, while steps that it watched over go on", async () => {
  await using cgroups = new StepCgroups(bench.deps, 60_000);
  const first = await cgroups.acquire("a", "");
  const [keeper = 0] = keepers();
  process.kill(keeper, "SIGKILL");
  await ended(keeper);
  // Until its end was told to us, it counts as there.
  let second = await cgroups.acquire("b", "");
  while (keepers().length === 0) {
    second.release();
    await Bun.sleep(5);
    second = await cgroups.acquire("b", "");
  }
  expect(keepers()).not.toContain(keeper);
  first.release();
  expect(keepers().length).toBe(1);
  second.release();
});
