import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "../../base/lib/clock.ts";
import { silentLog } from "../../base/lib/log.ts";
import type { EventMessage } from "../../base/spec/docker/api.gen.ts";
import { openDatabase } from "../../base/store/database.ts";
import { Filters } from "../filters/filters.ts";
import { EventLog } from "./log.ts";

function inTemp(run: (path: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const dir = mkdtempSync(join(tmpdir(), "tug-events-"));
    try {
      await run(join(dir, "events.db"));
    } finally {
      rmSync(dir, { recursive: true });
    }
  };
}

function open(path: string, clock: Clock = systemClock, bounds: { maxEvents?: number } = {}) {
  const database = openDatabase(path, { durable: false });
  return { database, events: new EventLog({ database, clock, log: silentLog, ...bounds }) };
}

const container = (action: string, id = "c1", attributes: Record<string, string> = {}) =>
  ({ type: "container", action, id, attributes }) as const;

async function take(source: AsyncIterable<EventMessage>, count: number): Promise<EventMessage[]> {
  const got: EventMessage[] = [];
  for await (const message of source) if (got.push(message) === count) break;
  return got;
}

const none = Filters.parse({});

test(
  "since and until hold after a restart, and timeNano finds its own event again",
  inTemp(async (path) => {
    const first = open(path);
    for (const action of ["create", "start", "die"]) first.events.publish(container(action));
    const all = await take(
      first.events.read({ since: 0n, until: undefined }, none, new AbortController().signal),
      3,
    );
    first.database.close();
    const second = open(path);
    const from = BigInt(/"timeNano":(\d+)/.exec(JSON.stringify(all[1]))?.[1] ?? "0");
    const until = BigInt(String(all[2]?.timeNano));
    const again: EventMessage[] = [];
    for await (const m of second.events.read({ since: from, until }, none, new AbortController().signal))
      again.push(m);
    expect(again.map((m) => m.Action)).toEqual(["start", "die"]);
    second.database.close();
  }),
);

test(
  "times strictly increase although the clock stands still or steps back",
  inTemp(async (path) => {
    let now = 1_700_000_000_000;
    const { database, events } = open(path, { ...systemClock, now: () => now });
    for (let i = 0; i < 50; i++) {
      events.publish(container("start"));
      if (i === 25) now -= 60_000;
    }
    const got = await take(
      events.read({ since: 0n, until: undefined }, none, new AbortController().signal),
      50,
    );
    for (let i = 1; i < got.length; i++)
      expect(got[i]?.timeNano ?? 0).toBeGreaterThan(got[i - 1]?.timeNano ?? 0);
    database.close();
  }),
);

test(
  "a reader that does not read for a long time loses nothing",
  inTemp(async (path) => {
    const { database, events } = open(path);
    const stop = new AbortController();
    const reader = events
      .read({ since: undefined, until: undefined }, none, stop.signal)
      [Symbol.asyncIterator]();
    const first = reader.next();
    for (let i = 0; i < 1000; i++) events.publish(container("start", `c${i}`));
    expect((await first).value.Actor.ID).toBe("c0");
    for (let i = 1; i < 1000; i++) expect((await reader.next()).value.Actor.ID).toBe(`c${i}`);
    const pending = reader.next();
    stop.abort();
    expect((await pending).done).toBe(true);
    expect(events.listeners).toBe(0);
    database.close();
  }),
);

test(
  "the log keeps to its bounds and goes on counting",
  inTemp(async (path) => {
    const { database, events } = open(path, systemClock, { maxEvents: 10 });
    for (let i = 0; i < 1500; i++) events.publish(container("start", `c${i}`));
    const rows = database.query<{ n: number }, []>("SELECT count(*) AS n FROM event").get();
    expect(rows?.n).toBeLessThanOrEqual(1010);
    database.close();
    const again = open(path, systemClock, { maxEvents: 10 });
    const left = await take(
      again.events.read({ since: 0n, until: undefined }, none, new AbortController().signal),
      10,
    );
    expect(left[0]?.Actor?.ID).toBe("c1490");
    again.database.close();
  }),
);

test(
  "filters choose by type, action, actor and label; several names must all match",
  inTemp(async (path) => {
    const { database, events } = open(path);
    events.publish(container("exec_create: sh", "abc", { name: "web", image: "busybox:1", tier: "front" }));
    events.publish(container("die", "abd", { name: "db", image: "postgres" }));
    events.publish({ type: "network", action: "create", id: "n1", attributes: { name: "back" } });
    const find = async (wire: Record<string, string[]>) => {
      const got: string[] = [];
      const range = { since: 0n, until: BigInt(Date.now() + 2) * 1_000_000n };
      const stop = new AbortController();
      for await (const m of events.read(range, Filters.parse(wire), stop.signal)) got.push(m.Actor?.ID ?? "");
      return got;
    };
    expect(await find({ event: ["exec_create"] })).toEqual(["abc"]);
    expect(await find({ container: ["web"] })).toEqual(["abc"]);
    expect(await find({ container: ["ab"] })).toEqual(["abc", "abd"]);
    expect(await find({ image: ["busybox"] })).toEqual(["abc"]);
    expect(await find({ type: ["network"], event: ["create", "die"] })).toEqual(["n1"]);
    expect(await find({ label: ["tier=front"] })).toEqual(["abc"]);
    expect(await find({ scope: ["swarm"] })).toEqual([]);
    database.close();
  }),
);

test(
  "since after until is refused",
  inTemp(async (path) => {
    const { database, events } = open(path);
    expect(() =>
      events.read({ since: 2_000_000_000n, until: 1n }, none, new AbortController().signal),
    ).toThrow("`since` time (2) cannot be after `until` time (0)");
    database.close();
  }),
);

test(
  "`until` ends a reader in its time although the clock is set back or forward meanwhile",
  inTemp(async (path) => {
    let jump = 0;
    const clock: Clock = { ...systemClock, now: () => Date.now() + jump };
    const { database, events } = open(path, clock);
    events.publish(container("create"));
    for (const step of [-3_600_000, 3_600_000]) {
      jump = 0;
      const until = BigInt(clock.now() + 50) * 1_000_000n;
      const reader = events
        .read({ since: until - 1_000_000n, until }, none, new AbortController().signal)
        [Symbol.asyncIterator]();
      const end = reader.next();
      jump = step;
      expect((await end).done).toBe(true);
    }
    // What was already announced up to then is all that there will ever be: the clock is not asked.
    jump = -3_600_000;
    const last = await take(
      events.read({ since: 0n, until: undefined }, none, new AbortController().signal),
      1,
    );
    const until = BigInt(String(last[0]?.timeNano));
    let count = 0;
    for await (const _ of events.read({ since: 0n, until }, none, new AbortController().signal)) count++;
    expect(count).toBe(1);
    database.close();
  }),
);
