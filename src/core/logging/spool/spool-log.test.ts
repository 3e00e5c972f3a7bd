import { expect, test } from "bun:test";
import { linkSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../base/lib/clock.ts";
import { until } from "../../../base/lib/testdata/until.ts";
import { encodedOf, everything, LogFixture, textOf } from "../testdata/writer.ts";

const names = (fixture: LogFixture) => readdirSync(fixture.directory).sort();

test("what was written is read back in order, by stream, with its times", async () => {
  await using fixture = new LogFixture();
  const log = await fixture.open();
  fixture.writer.line("one", { at: new Date(1000) });
  fixture.writer.line("two", { stream: "stderr", at: new Date(2000) });
  fixture.writer.line("par", { partial: true, at: new Date(3000) });
  expect(await textOf(log)).toBe("one\ntwo\npar");
  expect(await textOf(log, { stdout: false })).toBe("two\n");
  expect(await textOf(log, { since: 2_000_000_000n })).toBe("two\npar");
  expect(await textOf(log, { until: 2_000_000_000n })).toBe("one\ntwo\n");
  const records = await Array.fromAsync(log.read(everything));
  expect(records.map((r) => [r.stream, r.time, r.partial])).toEqual([
    ["stdout", 1_000_000_000n, false],
    ["stderr", 2_000_000_000n, false],
    ["stdout", 3_000_000_000n, true],
  ]);
});

test("a line that conmon is still writing is not shown", async () => {
  await using fixture = new LogFixture();
  const log = await fixture.open();
  fixture.writer.line("one");
  fixture.writer.raw("2024-01-01T00:00:00.000000000+00:00 stdout F ha");
  expect(await textOf(log)).toBe("one\n");
  fixture.writer.raw("lf\n");
  expect(await textOf(log)).toBe("one\nhalf\n");
});

test("rotation loses no line, keeps the asked-for number of files and compresses the old ones", async () => {
  await using fixture = new LogFixture();
  const log = await fixture.open({ "max-size": "20k", "max-file": "4" });
  const expected: string[] = [];
  for (let i = 0; i < 3000; i++) {
    fixture.writer.line(`line ${i} ${"x".repeat(i % 50)}`);
    expected.push(`line ${i} ${"x".repeat(i % 50)}\n`);
    if (i % 500 === 499) {
      const before = fixture.writer.reopens;
      await until(() => fixture.writer.reopens > before);
    }
  }
  const rotated = () => names(fixture).filter((name) => /\.\d+/.test(name));
  await until(() => rotated().length === 3 && rotated().every((name) => name.endsWith(".zst")));
  const text = await textOf(log);
  expect(expected.join("").endsWith(text)).toBe(true);
  expect(text.split("\n").length).toBeGreaterThan(1400);
  expect(await textOf(log, { tail: 5 })).toBe(expected.slice(-5).join(""));
  expect(await textOf(log, { tail: 1200 })).toBe(expected.slice(-1200).join(""));
  expect((await encodedOf(log)).toString()).toBe(text);
});

test("a follower sees every line across rotations and ends when the container stops", async () => {
  await using fixture = new LogFixture();
  const log = await fixture.open({ "max-size": "8k", "max-file": "3" });
  const follower = encodedOf(log, { follow: true });
  let expected = "";
  for (let i = 0; i < 600; i++) {
    fixture.writer.line(`line ${i}`);
    expected += `line ${i}\n`;
    if (i % 20 === 0) await Bun.sleep(1);
  }
  await until(() => fixture.writer.reopens >= 1);
  fixture.writer.line("last");
  await log.stopped();
  expect((await follower).toString()).toBe(`${expected}last\n`);
});

test("what was written to a new file that nobody has noticed is read, and followed when the container stops", async () => {
  await using fixture = new LogFixture();
  const log = await fixture.open({ "max-size": "2k" });
  const { promise: unseen, resolve: seen } = Promise.withResolvers<void>();
  fixture.writer.unseen = unseen;
  const follower = encodedOf(log, { follow: true });
  for (let i = 0; i < 60; i++) fixture.writer.line(`line ${i}`);
  await until(() => fixture.writer.reopens > 0);
  fixture.writer.line("last");
  const text = textOf(log);
  const stopped = log.stopped();
  // Time for both to take a rotation that is not over for the end.
  await Bun.sleep(100);
  seen();
  await stopped;
  expect(await text).toEndWith("line 59\nlast\n");
  expect((await follower).toString()).toEndWith("line 59\nlast\n");
});

test("a conmon that ended before it reopened is not waited for when the container stops", async () => {
  await using fixture = new LogFixture();
  // Its patience never ends.
  fixture.clock = { ...systemClock, monotonic: () => 0n };
  const log = await fixture.open({ "max-size": "1k" });
  fixture.writer.late = true;
  for (let i = 0; i < 100; i++) fixture.writer.line(`line ${i}`);
  await until(() => names(fixture).includes("ctr.log.1"));
  await log.stopped();
  expect((await textOf(log)).split("\n").length).toBe(101);
  expect(names(fixture)).toContain("ctr.log");
});

test("a follower that is slower than the rotation keeps what it has still to read, within bounds", async () => {
  await using fixture = new LogFixture();
  const log = await fixture.open({ "max-size": "2k", "max-file": "2", compress: "false" });
  const reader = log.read({ ...everything, follow: true })[Symbol.asyncIterator]();
  let written = 0;
  const rotateOnce = async () => {
    const before = fixture.writer.reopens;
    for (let i = 0; i < 60; i++) fixture.writer.line(`line ${written++}`);
    await until(() => fixture.writer.reopens > before);
  };
  const rotated = () => names(fixture).filter((name) => /\.\d+$/.test(name)).length;
  await rotateOnce();
  expect(Buffer.from((await reader.next()).value.bytes).toString()).toBe("line 0\n");
  for (let i = 0; i < 5; i++) await rotateOnce();
  for (let i = 1; i < 300; i++)
    expect(Buffer.from((await reader.next()).value.bytes).toString()).toBe(`line ${i}\n`);
  for (let i = 0; i < 12; i++) await rotateOnce();
  expect(rotated()).toBeLessThanOrEqual(7);
  await reader.return?.();
  expect(rotated()).toBe(1);
});

test("a follower is woken by a write at once and let go by its signal", async () => {
  await using fixture = new LogFixture();
  const log = await fixture.open();
  const stop = new AbortController();
  fixture.writer.line("before");
  const reader = log
    .read({ ...everything, follow: true, tail: 1, signal: stop.signal })
    [Symbol.asyncIterator]();
  // It has begun to follow once it tells what was there.
  expect(Buffer.from((await reader.next()).value.bytes).toString()).toBe("before\n");
  const first = reader.next();
  await Bun.sleep(10);
  fixture.writer.line("hello");
  expect(Buffer.from((await first).value.bytes).toString()).toBe("hello\n");
  const second = reader.next();
  stop.abort();
  expect((await second).done).toBe(true);
});

test("a follower sees a line that comes within a moment of the one before it", async () => {
  await using fixture = new LogFixture();
  const log = await fixture.open();
  const reader = log.read({ ...everything, follow: true })[Symbol.asyncIterator]();
  for (let i = 0; i < 100; i++) {
    // Two writes about a millisecond apart, the second one when the reader has read the first and waits again.
    const first = reader.next();
    const second = first.then(() => reader.next());
    await Bun.sleep(3);
    fixture.writer.line(`first ${i}`);
    expect(Buffer.from((await first).value.bytes).toString()).toBe(`first ${i}\n`);
    for (let turn = 0; turn < i % 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    fixture.writer.line(`second ${i}`);
    expect(Buffer.from((await second).value.bytes).toString()).toBe(`second ${i}\n`);
  }
  await reader.return?.();
}, 60_000);

test("tail counts lines of output, not records", async () => {
  await using fixture = new LogFixture();
  const log = await fixture.open();
  fixture.writer.line("zero");
  fixture.writer.line("a", { partial: true });
  fixture.writer.line("b", { partial: true });
  fixture.writer.line("c");
  fixture.writer.line("last ", { partial: true });
  fixture.writer.line("open", { partial: true });
  expect(await textOf(log, { tail: 1 })).toBe("last open");
  expect(await textOf(log, { tail: 2 })).toBe("abc\nlast open");
  expect(await textOf(log, { tail: 0 })).toBe("");
  expect(await textOf(log, { tail: 9 })).toBe("zero\nabc\nlast open");
});

test("tail of a large log reads blocks from its end", async () => {
  await using fixture = new LogFixture();
  const log = await fixture.open({ "max-size": "-1" });
  const time = "2024-01-01T00:00:00.000000000+00:00";
  let text = "";
  for (let i = 0; i < 40_000; i++) text += `${time} stdout F number ${i}\n`;
  fixture.writer.raw(text);
  for (const count of [1, 5000, 39_999, 40_000, 50_000]) {
    const lines = (await encodedOf(log, { tail: count })).toString().split("\n");
    expect(lines.length - 1).toBe(Math.min(count, 40_000));
    expect(lines[0]).toBe(`number ${Math.max(0, 40_000 - count)}`);
  }
});

test("reading without follow ends although the container goes on writing", async () => {
  await using fixture = new LogFixture();
  const log = await fixture.open();
  fixture.writer.line("one");
  let count = 0;
  for await (const _ of log.read(everything)) {
    count++;
    fixture.writer.line("more");
  }
  expect(count).toBe(1);
});

test("a daemon that died between rename and reopen leaves a log that goes on whole", async () => {
  await using fixture = new LogFixture();
  await fixture.open();
  fixture.writer.line("before");
  renameSync(join(fixture.directory, "ctr.log"), join(fixture.directory, "ctr.log.7"));
  fixture.writer.line("between");
  const log = await fixture.open();
  await until(() => fixture.writer.reopens === 1);
  fixture.writer.line("after");
  expect(await textOf(log)).toBe("before\nbetween\nafter\n");
  expect(names(fixture)).toContain("ctr.log");
});

test("when conmon does not reopen, the file gets its name back", async () => {
  await using fixture = new LogFixture();
  const log = await fixture.open({ "max-size": "1k" });
  fixture.writer.alive = false;
  for (let i = 0; i < 100; i++) fixture.writer.line(`line ${i}`);
  await Bun.sleep(150);
  expect(names(fixture).filter((name) => /\.\d+/.test(name))).toEqual([]);
  expect((await textOf(log)).split("\n").length).toBe(101);
  await log.stopped();
  expect((await textOf(log)).split("\n").length).toBe(101);
  expect(names(fixture).some((name) => name.startsWith("ctr.log.1"))).toBe(true);
});

test("what conmon replaced at its own limit while no daemon lived is kept", async () => {
  await using fixture = new LogFixture();
  await fixture.open();
  fixture.writer.line("old");
  fixture.writer.reopen();
  fixture.writer.line("new");
  const log = await fixture.open();
  expect(await textOf(log)).toBe("old\nnew\n");
});

test("leftovers of a compression that a crash cut short are cleared away", async () => {
  await using fixture = new LogFixture();
  fixture.writer.line("x");
  writeFileSync(join(fixture.directory, "ctr.log.1.zst.tmp"), "half");
  linkSync(join(fixture.directory, "ctr.log"), join(fixture.directory, "ctr.log.2"));
  writeFileSync(join(fixture.directory, "ctr.log.2.zst"), "");
  await fixture.open();
  expect(names(fixture)).not.toContain("ctr.log.1.zst.tmp");
  expect(names(fixture)).not.toContain("ctr.log.2");
  rmSync(join(fixture.directory, "ctr.log.2.zst"));
});

test("removing a log removes its files and ends its followers", async () => {
  await using fixture = new LogFixture();
  const log = await fixture.open();
  fixture.writer.line("x");
  const reader = log.read({ ...everything, follow: true })[Symbol.asyncIterator]();
  expect((await reader.next()).done).toBe(false);
  const next = reader.next();
  await log.remove();
  expect((await next).done).toBe(true);
  expect(names(fixture)).toEqual([]);
});
