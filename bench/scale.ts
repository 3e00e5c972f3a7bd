import type { Engine } from "./engines.ts";
import { command, detached, removeAll, type Scenario, timed } from "./measure.ts";

interface Operation {
  readonly name: string;
  /** Milliseconds of one call; what it needs is there, what it makes is taken away. */
  measure(engine: Engine): Promise<number>;
}

const name = "bench-one";

const operations: readonly Operation[] = [
  { name: "ps", measure: (engine) => timed(engine, ["ps", "-n", "1"]) },
  { name: "run --rm", measure: (engine) => timed(engine, ["run", "--rm", "busybox", "true"]) },
  { name: "exec", measure: (engine) => timed(engine, ["exec", "bench-scale-0", "true"]) },
  { name: "inspect", measure: (engine) => timed(engine, ["inspect", "bench-scale-0"]) },
  {
    name: "create + rm",
    measure: async (engine) =>
      (await timed(engine, ["create", "--name", name, "busybox"])) + (await timed(engine, ["rm", name])),
  },
  {
    name: "stop",
    measure: async (engine) => {
      await command(engine, ["run", "-d", "--init", "--name", name, "busybox", "sleep", "100000"]);
      const took = await timed(engine, ["stop", name]);
      await command(engine, ["rm", name]);
      return took;
    },
  },
  {
    name: "network connect",
    measure: async (engine) => {
      const took = await timed(engine, ["network", "connect", "bench-net", "bench-scale-0"]);
      await command(engine, ["network", "disconnect", "bench-net", "bench-scale-0"]);
      return took;
    },
  },
];

const few = { running: 5, stopped: 5 };
const crowd = { running: 60, stopped: 300 };

/** Eight at a time: 360 containers one after the other would take the slower engines minutes. */
async function each(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

const beside = (operation: Operation, size: typeof few) =>
  `${operation.name} beside ${size.running + size.stopped}`;

const at = (operation: Operation, size: typeof few): Scenario => ({
  name: beside(operation, size),
  unit: "ms",
  rounds: 9,
  measure: operation.measure,
  ...(size === few ? {} : { against: { name: beside(operation, few), atMost: 1.25 } }),
});

/** The containers that stand about while the scenarios after it are measured; its own figure is how long they took to make. */
const populate = (size: typeof few): Scenario => ({
  name: `making ${size.running + size.stopped}`,
  unit: "ms",
  rounds: 1,
  measure: async (engine) => {
    const started = performance.now();
    const count = async (...flags: string[]) =>
      (await command(engine, ["ps", "-q", ...flags])).split("\n").filter(Boolean).length;
    const running = await count();
    const stopped = (await count("-a")) - running;
    await each(size.running - running, (index) =>
      command(engine, detached(`bench-scale-${running + index}`)),
    );
    await each(size.stopped - stopped, (index) =>
      command(engine, [
        "run",
        "--network",
        "none",
        "--name",
        `bench-ended-${stopped + index}`,
        "busybox",
        "true",
      ]),
    );
    const took = performance.now() - started;
    if (running === 0) await command(engine, ["network", "create", "bench-net"]);
    return took;
  },
});

/** What prints all of a crowd, or much of it. */
const listings: readonly Scenario[] = [
  { name: "ps -a of 360", unit: "ms", rounds: 9, measure: (engine) => timed(engine, ["ps", "-a"]) },
  {
    name: "inspect of 100",
    unit: "ms",
    rounds: 9,
    measure: (engine) =>
      timed(engine, ["inspect", ...Array.from({ length: 100 }, (_, index) => `bench-ended-${index}`)]),
  },
];

const clear: Scenario = {
  name: "removing 360",
  unit: "ms",
  rounds: 1,
  measure: async (engine) => {
    const started = performance.now();
    await removeAll(engine);
    const took = performance.now() - started;
    await command(engine, ["network", "rm", "bench-net"]);
    return took;
  },
};

/** One after the other: what an operation costs beside 10 containers, and beside 360; and listings of these. `bench/run beside making removing of`. */
export const scaleScenarios: readonly Scenario[] = [
  populate(few),
  ...operations.map((operation) => at(operation, few)),
  populate(crowd),
  ...operations.map((operation) => at(operation, crowd)),
  ...listings,
  clear,
];
