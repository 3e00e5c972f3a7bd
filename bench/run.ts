/**
 * Tug beside the real Docker (and Podman where it is installed), the same scenario on each in turn, as ratios. Roots lie on
 * a loop-mounted ext4 with a journal. `bench/run --help` tells the options.
 */
import { existsSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { Disk } from "./disk.ts";
import { type Engine, startDocker, startPodman, startTug } from "./engines.ts";
import { removeLate, type Scenario } from "./measure.ts";
import { help, type Options, parseOptions, UsageError } from "./options.ts";
import { line, median, type Result } from "./report.ts";
import { scenarios } from "./scenarios.ts";

const endings = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

async function main(argv: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = parseOptions(
      argv,
      scenarios.map(({ name }) => name),
    );
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\nSee 'bench/run --help'.`);
    return 125;
  }
  if (options.kind === "help") process.stdout.write(help);
  if (options.kind === "list") for (const { name } of scenarios) console.log(name);
  if (options.kind !== "run") return 0;
  return await measure(options);
}

/** The exit code: that of a shell for the signal that ended it. */
async function measure(options: Options & { readonly kind: "run" }): Promise<number> {
  const stop = new AbortController();
  let code = 0;
  for (const signal of endings)
    process.on(signal, () => {
      if (stop.signal.aborted) return;
      code = 128 + constants.signals[signal];
      console.error(`${signal}: taking everything away again`);
      stop.abort(new Error(`interrupted by ${signal}`));
    });
  const results: Result[] = [];
  {
    using disk = new Disk();
    await using engines = new Engines();
    try {
      await engines.start(disk.path, options.engines, stop.signal);
      for (const scenario of scenarios.filter(({ name }) => options.scenarios.includes(name))) {
        const values = await sample(scenario, engines.all, stop.signal);
        const result = { scenario, values };
        console.log(line(result, engines.all, results));
        results.push(result);
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error;
      for (const engine of engines.all) await removeLate(engine);
    }
  }
  if (options.json !== undefined && code === 0) {
    const numbers = results.map(({ scenario: { name, unit }, values }) => ({ name, unit, values }));
    writeFileSync(options.json, JSON.stringify(numbers, null, 2));
  }
  return code;
}

/** The engines that run; disposed, they are gone with all that they made. */
class Engines implements AsyncDisposable {
  readonly all: Engine[] = [];

  async start(root: string, wanted: readonly Engine["name"][], signal: AbortSignal): Promise<void> {
    const starters = {
      tug: startTug,
      docker: (path: string) => (existsSync("/usr/sbin/dockerd") ? startDocker(path) : undefined),
      podman: startPodman,
    } as const satisfies Record<Engine["name"], unknown>;
    for (const name of wanted) {
      signal.throwIfAborted();
      const engine = await starters[name](join(root, name));
      if (engine) this.all.push(engine);
      else console.error(`${name} is not measured: it is not installed, or does not work here`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const engine of this.all)
      await engine.close().catch((error: unknown) => console.error(`${engine.name}: ${String(error)}`));
  }
}

/** Medians by engine; what fails on one is told, and measured on the others all the same. */
async function sample(
  scenario: Scenario,
  engines: readonly Engine[],
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const samples: Record<string, number[]> = {};
  const broken = new Set<string>();
  const attempt = async (engine: Engine, step: ((engine: Engine) => Promise<unknown>) | undefined) => {
    if (!step || broken.has(engine.name)) return;
    if (scenario.daemonOnly && engine.daemonPid === undefined) return;
    try {
      await step(engine);
    } catch (error) {
      signal.throwIfAborted();
      broken.add(engine.name);
      console.error(`${scenario.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const interruptible = engines.map((engine) => ({ ...engine, signal }));
  try {
    for (const engine of interruptible) await attempt(engine, scenario.prepare?.bind(scenario));
    for (let round = 0; round < scenario.rounds; round++) {
      for (const engine of interruptible) {
        signal.throwIfAborted();
        await attempt(engine, async () => {
          const value = await scenario.measure(engine);
          samples[engine.name] = [...(samples[engine.name] ?? []), value];
        });
      }
    }
  } finally {
    // Also after an interruption, and not to be interrupted: it takes away what was prepared.
    for (const engine of engines.filter(({ daemonPid }) => !scenario.daemonOnly || daemonPid !== undefined))
      await scenario.finish?.(engine).catch((error: unknown) => {
        if (!signal.aborted && !broken.has(engine.name))
          console.error(`${scenario.name}: ${error instanceof Error ? error.message : String(error)}`);
      });
  }
  signal.throwIfAborted();
  return Object.fromEntries(Object.entries(samples).map(([name, list]) => [name, median(list)]));
}

// Timers of the harness that nobody waits for any more must not hold it up.
process.exit(await main(process.argv.slice(2)));
