import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../../../base/lib/testdata/until.ts";
import { processStat } from "../../../../base/sys/process/pidfd.ts";
import { collect, Sandbox } from "../../testdata/busybox.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(async () => {
  await box[Symbol.asyncDispose]();
});

test("a container that runs on while the daemon is away is found running, and its later exit is reported", async () => {
  const pid = await box.run("r-run", ["sh", "-c", "read x; exit 3"], { openStdin: true });
  await box.restart();
  expect(await box.runtime.observe("r-run", box.dirs("r-run"))).toMatchObject({
    status: "running",
    pid,
    paused: false,
  });
  await using streams = await box.runtime.attach(box.dirs("r-run"));
  await streams.write(Buffer.from("go\n"));
  expect((await box.exit("r-run")).exitCode).toBe(3);
  await box.runtime.delete("r-run", { force: false });
});

test("a container that ended while the daemon was away tells its code, time and OOM kill", async () => {
  await box.run("r-gone", ["sh", "-c", "exit 4"]);
  await box.runtime[Symbol.asyncDispose]();
  await until(() => existsSync(join(box.dirs("r-gone").state, "exit")));
  await box.restart();
  const seen = await box.runtime.observe("r-gone", box.dirs("r-gone"));
  expect(seen).toMatchObject({ status: "exited", exitCode: 4, oomKilled: false });
  await box.runtime.delete("r-gone", { force: false });
  expect(existsSync(box.dirs("r-gone").state)).toBe(false);
});

test("of a container that ended a moment ago the monitor's word is awaited", async () => {
  const pid = await box.run("r-now", ["sleep", "1000"]);
  const { state } = box.dirs("r-now");
  const { monitor } = await Bun.file(join(state, "task.json")).json();
  await box.runtime[Symbol.asyncDispose]();
  process.kill(monitor.pid, "SIGSTOP");
  process.kill(pid, "SIGKILL");
  await until(() => processStat(pid)?.state === "Z");
  await box.restart();
  const seen = box.runtime.observe("r-now", box.dirs("r-now"));
  process.kill(monitor.pid, "SIGCONT");
  expect(await seen).toMatchObject({ status: "exited", exitCode: 137 });
  // Who asked has its answer: it is not told once more.
  expect(box.exits.has("r-now")).toBe(false);
  await box.runtime.delete("r-now", { force: false });
});

test("a created container that was not started is told from a running one", async () => {
  await box.runtime.create(box.task("r-new", ["sleep", "1000"]));
  await box.restart();
  expect(await box.runtime.observe("r-new", box.dirs("r-new"))).toMatchObject({ status: "created" });
  await box.runtime.start("r-new");
  expect(await box.runtime.observe("r-new", box.dirs("r-new"))).toMatchObject({ status: "running" });
  await box.runtime.delete("r-new", { force: true });
});

test("an exec outlives the daemon and its exit is found afterwards", async () => {
  await box.run("r-host", ["sleep", "1000"]);
  const process = box.task("r-host", ["sh", "-c", "read x; exit 6"]).spec.process;
  if (!process) throw new Error("no process");
  const dirs = box.dirs("r-exec");
  await box.runtime.exec({
    id: "r-exec",
    containerId: "r-host",
    dirs,
    process,
    tty: false,
    openStdin: true,
    attach: false,
  });
  await box.restart();
  expect(await box.runtime.observe("r-exec", dirs)).toMatchObject({ status: "running" });
  const streams = await box.runtime.attach(dirs);
  await streams.closeStdin();
  await collect(streams.output);
  expect((await box.exit("r-exec")).exitCode).toBe(6);
  await box.runtime.delete("r-exec", { force: false });
  expect(existsSync(dirs.state)).toBe(false);
  await box.runtime.observe("r-host", box.dirs("r-host"));
  await box.runtime.delete("r-host", { force: true });
});

test("a pid that was reused, another boot and a torn record are not taken for the task", async () => {
  await box.run("r-lie", ["sh", "-c", "exit 0"]);
  await box.exit("r-lie");
  const state = box.dirs("r-lie").state;
  const record = await Bun.file(join(state, "task.json")).json();
  const { unlinkSync } = await import("node:fs");
  unlinkSync(join(state, "exit"));
  writeFileSync(
    join(state, "task.json"),
    JSON.stringify({ ...record, init: { pid: process.pid, startTime: "1" } }),
  );
  await box.restart();
  expect(await box.runtime.observe("r-lie", box.dirs("r-lie"))).toEqual({ status: "unknown" });
  writeFileSync(join(state, "task.json"), JSON.stringify({ ...record, boot: "another" }));
  await box.restart();
  expect(await box.runtime.observe("r-lie", box.dirs("r-lie"))).toEqual({ status: "unknown" });
  writeFileSync(join(state, "task.json"), '{"kind":');
  await box.restart();
  expect(await box.runtime.observe("r-lie", box.dirs("r-lie"))).toEqual({ status: "unknown" });
  writeFileSync(join(state, "task.json"), JSON.stringify(record));
  await box.restart();
  await box.runtime.observe("r-lie", box.dirs("r-lie"));
  await box.runtime.delete("r-lie", { force: true });
  expect(existsSync(state)).toBe(false);
});
