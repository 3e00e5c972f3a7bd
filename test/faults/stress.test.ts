import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { eventually, TestDaemon } from "../harness/daemon.ts";

/** Repeat a failure with the number it printed. */
const seed = Number(process.env["TUG_STRESS_SEED"] ?? Date.now() % 1_000_000);
const containers = Number(process.env["TUG_STRESS_CONTAINERS"] ?? 300);
const atOnce = 8;

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean(), 120_000);
afterAll(() => daemon.close(), 120_000);

/** A small generator of our own, so that a seed says everything (mulberry32). */
function randomFrom(start: number): (limit: number) => number {
  let state = start;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

/** What one container goes through; every step must end, whatever the others do meanwhile. */
async function life(name: string, random: (limit: number) => number): Promise<void> {
  const program = ["sleep 1000", "sleep 0.05", "exit 3", "cat", "trap 'exit 7' TERM; sleep 1000 & wait"][
    random(5)
  ];
  const flags = ["-i", ...(random(3) === 0 ? ["-t"] : []), ...(random(4) === 0 ? ["--rm"] : [])];
  await daemon.ok(["run", "-d", "--name", name, ...flags, "busybox", "sh", "-c", program ?? ""]);
  const steps: (() => Promise<unknown>)[] = [
    () => daemon.tug(["exec", "-i", name, "cat"], { input: `hello ${name}\n` }),
    () => daemon.tug(["exec", name, "sh", "-c", "exit 5"]),
    () => daemon.tug(["exec", "-d", name, "sleep", "1000"]),
    () => daemon.tug(["attach", "--no-stdin", name], { timeout: 300 }).catch(() => undefined),
    () => daemon.tug(["logs", "-f", name], { timeout: 300 }).catch(() => undefined),
    () => daemon.tug(["stop", "-t", "1", name]),
    () => daemon.tug(["kill", name]),
    () => daemon.tug(["kill", "-s", "TERM", name]),
    () => daemon.tug(["restart", "-t", "0", name]),
    () => daemon.tug(["start", name]),
    () => daemon.tug(["unpause", name]),
    () => daemon.tug(["rename", name, `${name}x`]),
    // An exec that meets it half-way waits until it is over.
    async () => {
      await daemon.tug(["pause", name]);
      await daemon.tug(["unpause", name]);
    },
  ];
  for (let i = random(4); i >= 0; i--) {
    // Now and then two steps at once.
    const chosen = [steps[random(steps.length)], ...(random(3) === 0 ? [steps[random(steps.length)]] : [])];
    await Promise.all(chosen.map((step) => step?.()));
  }
  if (random(8) === 0) await daemon.tug(["pause", name]);
  const names = [name, `${name}x`];
  const removals = await Promise.all(names.map((one) => daemon.tug(["rm", "-f", "-v", one])));
  for (const result of removals) {
    if (result.code !== 0) expect(result.stderr).toMatch(/No such container|already in progress/);
  }
}

test(`${containers} short containers, ${atOnce} at a time, with everything done to them at random: all end (seed ${seed})`, async () => {
  let next = 0;
  const worker = async () => {
    while (next < containers) {
      const index = next++;
      const random = randomFrom(seed * 1000 + index);
      await life(`run-${index}`, random).catch((error: unknown) => {
        throw new Error(`container ${index}, seed ${seed}: ${String(error)}`);
      });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  await eventually("all are gone", async () => (await daemon.ok(["ps", "-aq"])) === "");
  expect(daemon.log).not.toContain("uncaught exception");
  expect(daemon.log).not.toContain("unhandled rejection");
}, 600_000);

test("containers removed while execs run in them take the execs' files along", async () => {
  const live = async (name: string) => {
    await daemon.ok(["run", "-d", "--name", name, "busybox", "sleep", "1000"]);
    await Promise.all([1, 2, 3, 4].map(() => daemon.ok(["exec", "-d", name, "sleep", "1000"])));
    await daemon.ok(["rm", "-f", name]);
  };
  for (let round = 0; round < 15; round++) await Promise.all([live(`left-${round}`), live(`right-${round}`)]);
  const left = () => readdirSync(join(daemon.execRoot, "containers"));
  expect(left()).toEqual([]);
}, 120_000);
