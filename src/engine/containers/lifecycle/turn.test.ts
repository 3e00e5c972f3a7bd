import { expect, test } from "bun:test";
import type { ContainerId } from "../../../base/lib/ids.ts";
import type { ContainerContext } from "../context.ts";
import { LiveTable } from "../live.ts";
import type { ContainerRecord } from "../record.ts";
import { inTurn } from "./turn.ts";

/** Three containers, each of which needs the one before, and a clock whose time passes when the test says so. */
function world() {
  const needs: Readonly<Record<string, string[]>> = { db: [], web: ["db"], side: ["web"] };
  const records = Object.entries(needs).map(([name, on]) => {
    const host = { DependsOn: Object.fromEntries(on.map((one) => [one, {}])) };
    return {
      id: name,
      name,
      definition: { host },
      state: { status: "running" },
    } as unknown as ContainerRecord;
  });
  const byName = (name: string) => records.find((one) => one.name === name);
  let now = 0;
  const sleepers: { readonly at: number; readonly wake: () => void }[] = [];
  const clock = {
    monotonic: () => BigInt(now) * 1_000_000n,
    sleep: (ms: number) => new Promise<void>((wake) => sleepers.push({ at: now + ms, wake })),
  };
  const store = { list: () => records, get: (id: ContainerId) => byName(id), byName };
  const context = { store, live: new LiveTable(), clock } as unknown as ContainerContext;
  const order: string[] = [];
  return {
    order,
    stop: (name: string) =>
      inTurn(context, byName(name) as ContainerRecord, async () => {
        order.push(name);
      }),
    /** As the daemon lives through it: in small steps, each of which wakes whom it must. */
    pass: async (ms: number) => {
      for (const end = now + ms; now < end; now++) {
        for (const one of sleepers.filter(({ at }) => at <= now)) {
          sleepers.splice(sleepers.indexOf(one), 1);
          one.wake();
        }
        for (let turns = 0; turns < 10; turns++) await Promise.resolve();
      }
    },
    /** A daemon that stood still: the time is over before it takes a step. */
    stall: (ms: number) => {
      now += ms;
    },
  };
}

test("requests of one command are waited for, though a busy machine brings them one after the other", async () => {
  const { order, stop, pass } = world();
  const stops = [stop("db")];
  await pass(40);
  stops.push(stop("web"));
  await pass(40);
  stops.push(stop("side"));
  await pass(200);
  await Promise.all(stops);
  expect(order).toEqual(["side", "web", "db"]);
});

test("a daemon that stood still reads what came meanwhile before it goes on", async () => {
  const { order, stop, pass, stall } = world();
  const stops = [stop("db")];
  stall(1000);
  await pass(10);
  stops.push(stop("web"), stop("side"));
  await pass(200);
  await Promise.all(stops);
  expect(order).toEqual(["side", "web", "db"]);
});

test("a container that is stopped alone waits for a moment only, and one that nobody needs not at all", async () => {
  const { order, stop, pass } = world();
  await stop("side");
  expect(order).toEqual(["side"]);
  const stopped = stop("db");
  await pass(200);
  await stopped;
  expect(order).toEqual(["side", "db"]);
});
