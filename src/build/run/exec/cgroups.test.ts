import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../../base/lib/testdata/until.ts";
import { StepCgroups } from "./cgroups.ts";
import { SCRIPT } from "./keeper.ts";
import { ExecBench } from "./testdata/exec-bench.ts";
import { cgroupsListOf, stepsDirectory } from "./workspace.ts";

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

test("a keeper that comes late ends the steps of its own daemon, and none that the next one has begun", async () => {
  const root = mkdtempSync("/tmp/tug-keeper-");
  const [daemon, next] = [111, 222];
  const step = (owner: number) => {
    const process = Bun.spawn(["sleep", "1000"]);
    const cgroup = join(root, `cgroup-${owner}`);
    mkdirSync(cgroup);
    writeFileSync(join(cgroup, "cgroup.procs"), `${process.pid}\n`);
    mkdirSync(join(root, "steps", String(owner)), { recursive: true });
    writeFileSync(join(root, "steps", String(owner), cgroupsListOf(owner)), `${cgroup}\n`);
    return { process, cgroup };
  };
  const [own, foreign] = [step(daemon), step(next)];
  try {
    const command = ["sh", "-c", SCRIPT, "keeper", join(root, "steps"), cgroupsListOf(daemon)];
    const keeper = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
    expect(await own.process.exited).toBe(137);
    // The keeper takes it away as well once it is empty, perhaps in the middle of this.
    rmSync(own.cgroup, { recursive: true, force: true });
    expect(await keeper.exited).toBe(0);
    expect(foreign.process.exitCode ?? foreign.process.signalCode).toBeNull();
  } finally {
    for (const { process } of [own, foreign]) process.kill("SIGKILL");
    rmSync(root, { recursive: true });
  }
});
