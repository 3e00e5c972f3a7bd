import { run } from "../test/harness/daemon.ts";
import type { Engine } from "./engines.ts";

/** What a scenario measures. `goal` is on the ratio tug/docker, or on the plain value when `absolute`. */
export interface Scenario {
  readonly name: string;
  readonly unit: "ms" | "MB/s" | "1/s" | "MB";
  readonly goal?: { readonly at: "most" | "least"; readonly value: number; readonly absolute?: boolean };
  /** The same engine's value of an earlier scenario, and what multiple of it this one may be at most. */
  readonly against?: { readonly name: string; readonly atMost: number };
  /** Left out for an engine without a daemon. */
  readonly daemonOnly?: boolean;
  /** One measurement; rounds alternate between the engines so that a noisy moment hits all of them. */
  measure(engine: Engine): Promise<number>;
  readonly rounds: number;
  /** Before and after the rounds of one engine. */
  prepare?(engine: Engine): Promise<void>;
  finish?(engine: Engine): Promise<void>;
}

/** One CLI call; standard output. A failure is an error with everything said. */
export async function command(engine: Engine, args: readonly string[], input?: Uint8Array): Promise<string> {
  const result = await run([...engine.cli, ...args], {
    env: engine.env,
    timeout: 180_000,
    ...(engine.signal ? { signal: engine.signal } : {}),
    ...(input ? { input } : {}),
  });
  if (result.code !== 0)
    throw new Error(`${engine.name} ${args.join(" ")}: exit ${result.code}: ${result.stderr}`);
  return result.stdout;
}

/** Milliseconds of one CLI call, output thrown away. */
export async function timed(engine: Engine, args: readonly string[]): Promise<number> {
  engine.signal?.throwIfAborted();
  const started = performance.now();
  const child = Bun.spawn([...engine.cli, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    ...(engine.signal ? { signal: engine.signal } : {}),
    env: { ...process.env, ...engine.env },
  });
  const [code, errors] = await Promise.all([child.exited, new Response(child.stderr).text()]);
  if (code !== 0) throw new Error(`${engine.name} ${args.join(" ")}: exit ${code}: ${errors}`);
  return performance.now() - started;
}

/** Removes every container. */
export async function removeAll(engine: Engine): Promise<void> {
  const ids = (await command(engine, ["ps", "-aq"])).split("\n").filter(Boolean);
  if (ids.length > 0) await command(engine, ["rm", "-f", ...ids]);
}

/** The same where commands were killed: what they had asked for may still come for a moment. */
export async function removeLate(engine: Engine): Promise<void> {
  for (let look = 0, quiet = 0; look < 20 && quiet < 3; look++) {
    quiet = (await command(engine, ["ps", "-aq"])) === "" ? quiet + 1 : 0;
    await removeAll(engine).catch((error: unknown) => console.error(`${engine.name}: ${String(error)}`));
    await Bun.sleep(500);
  }
}

/** Arguments that start a container which sleeps. */
export const detached = (name: string, ...rest: string[]) => [
  "run",
  "-d",
  "--name",
  name,
  ...rest,
  "busybox",
  "sleep",
  "100000",
];
