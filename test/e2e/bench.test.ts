import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { eventually } from "../harness/daemon.ts";
import { mountPoints, processes } from "../harness/machine.ts";

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync("/tmp/tug-bench-test-");
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** `bench/run` in a session of its own, whose files lie below `scratch`. */
const bench = (...args: string[]) =>
  Bun.spawn(["setsid", resolve(import.meta.dir, "../../bench/run"), ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, TMPDIR: scratch },
    timeout: 90_000,
  });

/** What is there of a bench: mounts, processes, files. */
const traces = () => [
  ...mountPoints().filter((point) => point.startsWith(scratch)),
  ...processes()
    .filter(({ command }) => command.includes(`${scratch}/`))
    .map(({ command }) => command),
  ...readdirSync(scratch).map((name) => join(scratch, name)),
];

test("a mistake on the command line starts nothing and is told", async () => {
  const child = bench("--nosuch");
  expect(await child.exited).toBe(125);
  expect(await new Response(child.stderr).text()).toContain("'--nosuch'");
  expect(traces()).toEqual([]);
});

test("Ctrl-C while it measures ends it and takes everything away that it started", async () => {
  // Long enough to be met in the middle: 40 containers, several times.
  const child = bench("--engines", "tug", "start of 40, 8 at a time");
  await eventually(
    "a container runs",
    () => traces().some((trace) => trace.includes("conmon") && trace.includes("/tug/exec/containers/")),
    120_000,
  );
  // As a terminal sends it: to all of its processes.
  process.kill(-child.pid, "SIGINT");
  const [stderr, ended] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  expect(stderr).toContain("SIGINT: taking everything away again");
  expect(stderr).not.toContain("left behind");
  expect(ended).toBe(130);
  expect(traces()).toEqual([]);
}, 120_000);
