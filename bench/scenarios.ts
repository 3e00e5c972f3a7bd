import { run } from "../test/harness/daemon.ts";
import { buildScenarios } from "./build.ts";
import { type Engine, memory } from "./engines.ts";
import { execScenarios } from "./exec.ts";
import { fileScenarios } from "./files.ts";
import { imageScenarios } from "./images.ts";
import { command, detached, removeAll, type Scenario, timed } from "./measure.ts";
import { scaleScenarios } from "./scale.ts";

const runRm = (network: string, goal?: number): Scenario => ({
  name: `run --rm (${network})`,
  unit: "ms",
  rounds: 12,
  ...(goal === undefined ? {} : { goal: { at: "most", value: goal } }),
  measure: (engine) => timed(engine, ["run", "--rm", "--network", network, "busybox", "true"]),
});

/**
 * Megabytes of the engine once it has come to rest: two looks a second apart agree, at most 15 seconds on. `resident` counts
 * a page that ten monitors share ten times, `proportional` once.
 */
async function settled(engine: Engine, kind: "resident" | "proportional"): Promise<number> {
  let last = memory(engine.pids())[kind];
  for (let look = 0; look < 15; look++) {
    engine.signal?.throwIfAborted();
    await Bun.sleep(1000);
    const now = memory(engine.pids())[kind];
    if (look >= 4 && Math.abs(now - last) < last / 100) return now / 1e6;
    last = now;
  }
  return last / 1e6;
}

/** What each of 20 running containers adds to all processes of the engine together. */
async function perContainer(engine: Engine, kind: "resident" | "proportional"): Promise<number> {
  const before = await settled(engine, kind);
  const count = 20;
  for (let i = 0; i < count; i++) await command(engine, detached(`bench-memory-${i}`));
  const after = await settled(engine, kind);
  await removeAll(engine);
  return (after - before) / count;
}

const megabytes = 256;

export const scenarios: readonly Scenario[] = [
  runRm("bridge", 0.25),
  runRm("host"),
  runRm("none"),
  ...execScenarios,
  {
    name: "ps",
    unit: "ms",
    rounds: 20,
    goal: { at: "most", value: 1 },
    prepare: async (engine) => void (await command(engine, detached("bench-ps"))),
    measure: (engine) => timed(engine, ["ps"]),
    finish: removeAll,
  },
  {
    name: "stop + rm",
    unit: "ms",
    rounds: 6,
    goal: { at: "most", value: 1 / 3 },
    measure: async (engine) => {
      await command(engine, ["run", "-d", "--init", "--name", "bench-stop", "busybox", "sleep", "100000"]);
      return (await timed(engine, ["stop", "bench-stop"])) + (await timed(engine, ["rm", "bench-stop"]));
    },
    finish: removeAll,
  },
  {
    name: "start of 40, 8 at a time",
    unit: "1/s",
    rounds: 2,
    goal: { at: "least", value: 4 },
    measure: async (engine) => {
      const started = performance.now();
      let next = 0;
      const worker = async () => {
        while (next < 40) await command(engine, detached(`bench-many-${next++}`));
      };
      await Promise.all(Array.from({ length: 8 }, worker));
      const rate = 40 / ((performance.now() - started) / 1000);
      await removeAll(engine);
      return rate;
    },
  },
  {
    name: "log writing",
    unit: "MB/s",
    rounds: 3,
    goal: { at: "least", value: 3 },
    measure: async (engine) => {
      const line = "x".repeat(127);
      const started = performance.now();
      await command(engine, [
        "run",
        "-d",
        "--name",
        "bench-log",
        "busybox",
        "sh",
        "-c",
        `yes ${line} | head -c ${megabytes}000000`,
      ]);
      await command(engine, ["wait", "bench-log"]);
      const rate = megabytes / ((performance.now() - started) / 1000);
      await command(engine, ["rm", "-f", "bench-log"]);
      return rate;
    },
  },
  {
    name: "logs reading",
    unit: "MB/s",
    rounds: 3,
    goal: { at: "least", value: 5 },
    prepare: async (engine) => {
      const line = "x".repeat(127);
      await command(engine, [
        "run",
        "--name",
        "bench-read",
        "-d",
        "busybox",
        "sh",
        "-c",
        `yes ${line} | head -c 64000000`,
      ]);
      await command(engine, ["wait", "bench-read"]);
    },
    measure: async (engine) => 64 / ((await timed(engine, ["logs", "bench-read"])) / 1000),
    finish: removeAll,
  },
  {
    name: "run -i piping",
    unit: "MB/s",
    rounds: 3,
    goal: { at: "least", value: 2 },
    measure: async (engine) => {
      const script = `head -c 128000000 /dev/zero | "$@" run --rm -i busybox cat | wc -c`;
      const started = performance.now();
      const result = await run(["sh", "-c", script, "sh", ...engine.cli], {
        ...(engine.signal ? { signal: engine.signal } : {}),
        env: engine.env,
        timeout: 180_000,
      });
      if (result.stdout.trim() !== "128000000")
        throw new Error(`${engine.name} lost bytes: ${result.stdout}${result.stderr}`);
      return 128 / ((performance.now() - started) / 1000);
    },
  },
  {
    name: "idle memory, resident",
    unit: "MB",
    rounds: 1,
    goal: { at: "most", value: 100, absolute: true },
    measure: (engine) => settled(engine, "resident"),
  },
  {
    name: "memory a container",
    unit: "MB",
    rounds: 1,
    goal: { at: "most", value: 2.5, absolute: true },
    measure: (engine) => perContainer(engine, "proportional"),
  },
  {
    name: "memory a container, resident",
    unit: "MB",
    rounds: 1,
    measure: (engine) => perContainer(engine, "resident"),
  },
  ...fileScenarios,
  ...imageScenarios,
  ...buildScenarios,
  ...scaleScenarios,
];
