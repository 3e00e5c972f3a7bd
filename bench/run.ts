/**
 * Tug beside the real Docker (and Podman where it is installed), the same scenario on each in turn, as ratios. Roots lie on
 * a loop-mounted ext4 with a journal. `bench/run [scenario's name or part of names ...]`; `--json FILE` writes the numbers.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Engine, startDocker, startPodman, startTug } from "./engines.ts";
import type { Scenario } from "./measure.ts";
import { scenarios } from "./scenarios.ts";

const args = process.argv.slice(2);
const jsonAt = args.indexOf("--json");
const jsonFile = jsonAt < 0 ? undefined : args.splice(jsonAt, 2)[1];
const only = args
  .filter((arg) => arg.startsWith("--only-engines="))
  .flatMap((arg) => arg.slice(15).split(","));
const patterns = args.filter((arg) => !arg.startsWith("--"));
/** A whole name means that scenario alone, anything else all that contain it. */
const named = (one: Scenario, text: string) =>
  scenarios.some(({ name }) => name === text) ? one.name === text : one.name.includes(text);
const chosen = scenarios.filter((one) => patterns.length === 0 || patterns.some((text) => named(one, text)));

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? high) + high) / 2;
};

/** A disk of our own: an image file with a journalled ext4. Falls back to a plain folder, and says so. */
function makeDisk(): { readonly path: string; readonly undo: () => void } {
  const base = mkdtempSync(join(tmpdir(), "tug-bench-"));
  const image = join(base, "disk.img");
  const path = join(base, "disk");
  mkdirSync(path);
  const steps = [
    ["truncate", "-s", "12G", image],
    ["mkfs.ext4", "-q", "-F", image],
    ["mount", "-o", "loop", image, path],
  ];
  const mounted = steps.every((step) => Bun.spawnSync(step).exitCode === 0);
  if (!mounted) console.error("no loop device here: measuring on the plain file system");
  return {
    path,
    undo: () => {
      if (mounted) Bun.spawnSync(["umount", path]);
      rmSync(base, { recursive: true, force: true });
    },
  };
}

const disk = makeDisk();
const engines: Engine[] = [];
const results: { scenario: Scenario; values: Record<string, number> }[] = [];
try {
  const wanted = (name: string) => only.length === 0 || only.includes(name);
  if (wanted("tug")) engines.push(await startTug(join(disk.path, "tug")));
  if (wanted("docker") && existsSync("/usr/sbin/dockerd"))
    engines.push(await startDocker(join(disk.path, "docker")));
  if (wanted("podman")) {
    const podman = await startPodman(join(disk.path, "podman"));
    if (podman) engines.push(podman);
  }
  for (const scenario of chosen) {
    const samples: Record<string, number[]> = {};
    const broken = new Set<string>();
    const attempt = async (engine: Engine, step: (() => Promise<unknown>) | undefined) => {
      if (!step || broken.has(engine.name)) return;
      if (scenario.daemonOnly && engine.daemonPid === undefined) return;
      try {
        await step();
      } catch (error) {
        broken.add(engine.name);
        console.error(`${scenario.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    };
    for (const engine of engines)
      await attempt(engine, scenario.prepare && (() => scenario.prepare?.(engine) ?? Promise.resolve()));
    for (let round = 0; round < scenario.rounds; round++) {
      for (const engine of engines) {
        await attempt(engine, async () => {
          const value = await scenario.measure(engine);
          const list = samples[engine.name] ?? [];
          samples[engine.name] = list;
          list.push(value);
        });
      }
    }
    for (const engine of engines)
      await attempt(engine, scenario.finish && (() => scenario.finish?.(engine) ?? Promise.resolve()));
    const values = Object.fromEntries(Object.entries(samples).map(([name, list]) => [name, median(list)]));
    results.push({ scenario, values });
    print(scenario, values);
  }
} finally {
  for (const engine of engines)
    await engine.close().catch((error: unknown) => console.error(`${engine.name}: ${String(error)}`));
  disk.undo();
}
if (jsonFile) {
  writeFileSync(
    jsonFile,
    JSON.stringify(
      results.map(({ scenario, values }) => ({ name: scenario.name, unit: scenario.unit, values })),
      null,
      2,
    ),
  );
}

function print(scenario: Scenario, values: Record<string, number>): void {
  const { tug, docker } = values;
  const show = (value: number | undefined) => (value === undefined ? "-" : value.toFixed(value < 10 ? 2 : 1));
  const cells = engines.map((engine) => `${engine.name} ${show(values[engine.name])}`).join("  ");
  let verdict = "";
  if (tug !== undefined && docker !== undefined) verdict += `  tug/docker ${(tug / docker).toFixed(2)}`;
  if (tug !== undefined && values["podman"] !== undefined)
    verdict += `  tug/podman ${(tug / values["podman"]).toFixed(2)}`;
  verdict += growth(scenario, values);
  const goal = scenario.goal;
  if (goal && tug !== undefined && (goal.absolute || docker !== undefined)) {
    const value = goal.absolute ? tug : tug / (docker ?? 1);
    const met = goal.at === "most" ? value <= goal.value : value >= goal.value;
    verdict += `  goal: at ${goal.at} ${goal.value.toFixed(2)}${goal.absolute ? ` ${scenario.unit}` : ""}: ${met ? "met" : "MISSED"}`;
  }
  console.log(`${scenario.name.padEnd(28)} ${scenario.unit.padEnd(5)} ${cells}${verdict}`);
}

/** What this costs as a multiple of what an earlier scenario cost the same engine. */
function growth({ against }: Scenario, values: Record<string, number>): string {
  const earlier = results.find(({ scenario }) => scenario.name === against?.name);
  if (!against || !earlier) return "";
  const ratio = (name: string) => (values[name] ?? Number.NaN) / (earlier.values[name] ?? Number.NaN);
  const cells = engines.map(({ name }) => `${name} ${ratio(name).toFixed(2)}`).join(" ");
  const met = ratio("tug") <= against.atMost ? "met" : "MISSED";
  return `  grew: ${cells}  goal: tug at most ${against.atMost}: ${met}`;
}
