import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync } from "node:fs";
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

test("a container runs, its output is logged, its exit code and time are reported, and delete leaves nothing", async () => {
  const id = "c-run";
  const began = Date.now();
  await box.run(id, ["sh", "-c", "echo out; echo err >&2; exit 7"]);
  const exit = await box.exit(id);
  expect(exit.exitCode).toBe(7);
  expect(exit.oomKilled).toBe(false);
  // A file's time is that of the kernel's last tick.
  expect(Number(exit.at / 1_000_000n)).toBeWithin(began - 20, Date.now() + 1);
  expect((await box.log(id)).split("\n").sort().join()).toContain("err");
  await box.runtime.delete(id, { force: false });
  expect(existsSync(box.dirs(id).state)).toBe(false);
  expect(existsSync(join(box.root, "crun", id))).toBe(false);
});

test("attached before the start, the streams carry all output apart by stream, and stdin ends when closed", async () => {
  const id = "c-attach";
  await box.runtime.create(
    box.task(id, ["sh", "-c", "cat; echo done >&2"], { openStdin: true, stdinOnce: true }),
  );
  await using streams = await box.runtime.attach(box.dirs(id));
  await box.runtime.start(id);
  await streams.write(Buffer.from("through\n"));
  await streams.closeStdin();
  expect(await collect(streams.output)).toEqual({ stdout: "through\n", stderr: "done\n" });
  expect((await box.exit(id)).exitCode).toBe(0);
  await box.runtime.delete(id, { force: false });
});

test("an exec runs in the container with its own streams and exit code", async () => {
  const id = "c-exec";
  const task = box.task(id, ["sleep", "1000"]);
  await box.runtime.create(task);
  await box.runtime.start(id);
  const process = { ...task.spec.process, args: ["sh", "-c", "cat; echo $0 >&2; exit 9"] };
  const exec = await box.runtime.exec({
    id: "e-1",
    containerId: id,
    dirs: box.dirs("e-1"),
    process: process as never,
    tty: false,
    openStdin: true,
    attach: true,
  });
  const { streams } = exec;
  if (!streams) throw new Error("no streams");
  await streams.write(Buffer.from("in"));
  await streams.closeStdin();
  expect(await collect(streams.output)).toEqual({ stdout: "in", stderr: "sh\n" });
  expect((await box.exit("e-1")).exitCode).toBe(9);
  await box.runtime.delete("e-1", { force: false });
  expect(existsSync(box.dirs("e-1").state)).toBe(false);
  await box.runtime.delete(id, { force: true });
});

test("a container whose monitor was killed with it is reported as ended, its status unknown", async () => {
  const id = "c-silent";
  const { pid, monitorPid } = await box.runtime.create(box.task(id, ["sleep", "1000"]));
  await box.runtime.start(id);
  // The container first, while the monitor can do nothing: who finds it alive without a monitor ends it.
  process.kill(monitorPid, "SIGSTOP");
  process.kill(pid, "SIGKILL");
  await until(() => processStat(pid)?.state === "Z");
  process.kill(monitorPid, "SIGKILL");
  expect((await box.exit(id)).exitCode).toBe(255);
  await box.runtime.delete(id, { force: true });
  expect(existsSync(box.dirs(id).state)).toBe(false);
});

test("a container whose monitor alone was killed is ended, as nobody would hear of its end", async () => {
  const id = "c-orphan";
  const { pid, monitorPid } = await box.runtime.create(box.task(id, ["sleep", "1000"]));
  await box.runtime.start(id);
  process.kill(monitorPid, "SIGKILL");
  expect((await box.exit(id)).exitCode).toBe(137);
  // A zombie, one that init is just taking away, or gone.
  expect(["Z", "X", undefined]).toContain(processStat(pid)?.state);
  await box.runtime.delete(id, { force: true });
  expect(existsSync(box.dirs(id).state)).toBe(false);
});

test("a container is deleted while execs run, start and end in it: each is told of, none leaves a file", async () => {
  for (let round = 0; round < 5; round++) {
    const id = `c-busy-${round}`;
    const task = box.task(id, ["sleep", "1000"]);
    await box.runtime.create(task);
    await box.runtime.start(id);
    const execs = Array.from({ length: 6 }, async (_, i) => {
      const name = `e-${round}-${i}`;
      const { bundle, state } = task.dirs;
      const running = await box.runtime
        .exec({
          id: name,
          containerId: id,
          dirs: { bundle, state: join(state, "exec", name) },
          process: { ...task.spec.process, args: i % 2 ? ["sleep", "1000"] : ["true"] } as never,
          tty: false,
          openStdin: false,
          attach: false,
        })
        .catch(() => undefined);
      return running && (await box.exit(name));
    });
    await Bun.sleep(round * 4);
    await box.runtime.delete(id, { force: true });
    rmSync(task.dirs.state, { recursive: true, force: true });
    await Promise.all(execs);
    expect(existsSync(task.dirs.state)).toBe(false);
  }
});

test("an exec is in every cgroup of its container from its first instruction, and in the one of a hybrid host's v2 tree soon", async () => {
  const id = "c-cgroups";
  const task = box.task(id, ["sleep", "1000"]);
  const { pid } = await box.runtime.create(task);
  await box.runtime.start(id);
  const exec = await box.runtime.exec({
    id: "e-cgroups",
    containerId: id,
    dirs: box.dirs("e-cgroups"),
    process: { ...task.spec.process, args: ["sh", "-c", "cat /proc/self/cgroup; exec sleep 1000"] } as never,
    tty: false,
    openStdin: false,
    attach: true,
  });
  const cgroups = (text: string) => text.trim().split("\n").sort();
  const wanted = cgroups(readFileSync(`/proc/${pid}/cgroup`, "latin1"));
  const isUnified = (line: string) => line.startsWith("0::");
  const controlled = (lines: string[]) =>
    lines.length > 1 ? lines.filter((line) => !isUnified(line)) : lines;
  let said = "";
  for await (const { bytes } of exec.streams?.output ?? []) {
    said += Buffer.from(bytes).toString("latin1");
    if (cgroups(said).length === wanted.length && said.endsWith("\n")) break;
  }
  expect(controlled(cgroups(said))).toEqual(controlled(wanted));
  await until(() => cgroups(readFileSync(`/proc/${exec.pid}/cgroup`, "latin1")).join() === wanted.join());
  await box.runtime.delete(id, { force: true });
  expect(existsSync(join(box.root, "oci-exec", id))).toBe(false);
});

test("an exec comes into a container that is full of processes", async () => {
  const id = "c-full";
  const task = box.task(id, ["sleep", "1000"], { linux: { resources: { pids: { limit: 1 } } } });
  await box.runtime.create(task);
  await box.runtime.start(id);
  await box.runtime.exec({
    id: "e-full",
    containerId: id,
    dirs: box.dirs("e-full"),
    process: { ...task.spec.process, args: ["true"] } as never,
    tty: false,
    openStdin: false,
    attach: false,
  });
  expect((await box.exit("e-full")).exitCode).toBe(0);
  await box.runtime.delete(id, { force: true });
});
