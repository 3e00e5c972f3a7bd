import { describe, expect, test } from "bun:test";
import { systemClock } from "../../../base/lib/clock.ts";
import type { StatusResponse } from "../../../base/spec/buildkit/control.gen.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import { ProgressLog } from "./progress-log.ts";

const never = new AbortController().signal;
const vertex = (name: string, completed?: bigint) => ({
  digest: digestOf(name),
  inputs: [],
  name,
  cached: false,
  started: 1n,
  completed,
  error: undefined,
});

async function all(log: ProgressLog, from = log.read(never)): Promise<StatusResponse[]> {
  const news: StatusResponse[] = [];
  for await (const part of from) news.push(part);
  return news;
}
const text = (news: readonly StatusResponse[]) =>
  news.flatMap((part) => part.logs.map((log) => Buffer.from(log.msg).toString())).join("");

describe("the progress of a build", () => {
  test("a reader from the beginning and one that comes late end with the same state", async () => {
    const log = new ProgressLog({ clock: systemClock });
    const early = all(log);
    for (let i = 0; i < 100; i++) {
      log.vertex(vertex(`step ${i}`));
      log.log({ vertex: digestOf(`step ${i}`), stream: "stderr", bytes: Buffer.from(`${i};`), at: 5n });
      log.vertex(vertex(`step ${i}`, 9n));
      if (i % 10 === 0) await Bun.sleep(1);
    }
    log.end();
    const last = (news: readonly StatusResponse[]) =>
      new Map(news.flatMap((part) => part.vertexes.map((v) => [v.name, v.completed?.nanos] as const)));
    const [first, late] = [await early, await all(log)];
    expect(last(first)).toEqual(last(late));
    expect(last(late).size).toBe(100);
    expect(text(first)).toBe(text(late));
    expect(text(first)).toContain("98;99;");
  });

  test("a reader that does not read costs the newest state, not every change", async () => {
    const log = new ProgressLog({ clock: systemClock });
    const reader = log.read(never);
    log.vertex(vertex("step"));
    await reader.next();
    for (let i = 0; i < 50_000; i++)
      log.status({
        id: "layer",
        vertex: digestOf("step"),
        name: "",
        current: i,
        total: 50_000,
        started: 1n,
        completed: undefined,
      });
    log.end();
    const rest = await all(log, reader);
    expect(rest.flatMap((part) => part.statuses)).toHaveLength(1);
    expect(rest[0]?.statuses[0]?.current).toBe(49_999n);
  });

  test("output that comes faster than it is read is clipped, and says so", async () => {
    const log = new ProgressLog({ clock: systemClock });
    const piece = Buffer.alloc(64 * 1024, "x");
    for (let i = 0; i < 200; i++)
      log.log({ vertex: digestOf("step"), stream: "stdout", bytes: piece, at: 1n });
    const reader = log.read(never);
    log.end();
    const news = text(await all(log, reader));
    expect(news.length).toBeLessThan(9 << 20);
    expect(news.startsWith("[output clipped")).toBe(true);
  });

  test("a reader that gives up ends, and the log goes on", async () => {
    const log = new ProgressLog({ clock: systemClock });
    const abort = new AbortController();
    const reading = all(log, log.read(abort.signal));
    abort.abort(new Error("enough"));
    await expect(reading).rejects.toThrow("enough");
    log.vertex(vertex("later"));
    log.end();
    expect(await all(log)).toHaveLength(1);
  });
});
