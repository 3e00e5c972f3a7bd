import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf, messageOf, TugError } from "../../../../base/lib/errors.ts";
import { until } from "../../../../base/lib/testdata/until.ts";
import { cgroupPathsFor, probeCgroups } from "../../../../base/sys/cgroup/cgroup.ts";
import { processStat } from "../../../../base/sys/process/pidfd.ts";
import { collect, Sandbox } from "../../testdata/busybox.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(async () => {
  await box[Symbol.asyncDispose]();
});
/** Tests of limits need their controllers. */
const limited = test.skipIf(!probeCgroups().controllers.includes("memory"));

/** Nothing of a task is left: files, runtime state, cgroups. */
function expectNothingLeft(id: string): void {
  expect(existsSync(box.dirs(id).state)).toBe(false);
  expect(existsSync(join(box.root, "oci", id))).toBe(false);
  for (const path of Object.values(cgroupPathsFor(box.hierarchy, `${box.parent}/${id}`)))
    expect(existsSync(path)).toBe(false);
}

async function failure(promise: Promise<unknown>): Promise<TugError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof TugError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

test("a command that does not exist or may not be executed fails with Docker's text and code, and leaves nothing", async () => {
  const cases: [string, number, string][] = [
    ["nosuch", 127, 'exec: "nosuch": executable file not found in $PATH'],
    ["/no/such", 127, 'exec: "/no/such": stat /no/such: no such file or directory'],
    ["/etc/passwd", 126, 'exec: "/etc/passwd": permission denied'],
    ["/etc", 126, 'exec: "/etc": permission denied'],
  ];
  for (const [command, exitCode, text] of cases) {
    const error = await failure(box.runtime.create(box.task("l-bad", [command])));
    expect(error.code).toBe("runtime-command");
    expect(error.detail.exitCode).toBe(exitCode);
    expect(error.message).toContain("failed to create task for container");
    expect(error.message).toContain(`${text}: unknown`);
    expectNothingLeft("l-bad");
  }
});

test("a container with a tty that cannot start leaves no console socket, in its directory or anywhere", async () => {
  const sockets = () => readdirSync(tmpdir()).filter((name) => name.startsWith("conmon-term."));
  const before = sockets();
  await failure(box.runtime.create(box.task("l-badtty", ["nosuch"], { tty: true })));
  // Other engines on this machine may let go of theirs.
  expect(sockets().filter((name) => !before.includes(name))).toEqual([]);
  expectNothingLeft("l-badtty");
});

test("a kill reaches the init by its exact signal, and one to a container that ended is refused", async () => {
  await box.run("l-kill", ["sh", "-c", "trap 'exit 42' USR1; echo ready; while :; do sleep 0.01; done"]);
  await saidReady("l-kill");
  await box.runtime.kill("l-kill", 10);
  expect((await box.exit("l-kill")).exitCode).toBe(42);
  expect(codeOf(await failure(box.runtime.kill("l-kill", 9)))).toBe("conflict");
  await box.runtime.delete("l-kill", { force: false });
  await box.run("l-kill9", ["sleep", "1000"]);
  await box.runtime.kill("l-kill9", 9);
  expect((await box.exit("l-kill9")).exitCode).toBe(137);
  await box.runtime.delete("l-kill9", { force: false });
});

/**
 * Its program runs, and has come to say so. That /proc shows the program's file is no sign of it: the kernel puts that in place in the
 * middle of the exec, before it closes descriptors and takes the signal handlers of the runtime away (begin_new_exec in fs/exec.c).
 */
async function saidReady(id: string): Promise<void> {
  await until(() => readFileSync(join(box.root, `${id}.log`), "utf8").includes("ready"));
}

test("pause stops every process until resume, and SIGKILL ends a paused container", async () => {
  const pid = await box.run("l-pause", ["sh", "-c", "while :; do :; done"]);
  await box.runtime.pause("l-pause");
  expect(await box.runtime.observe("l-pause", box.dirs("l-pause"))).toMatchObject({
    status: "running",
    paused: true,
  });
  const ticks = () => readFileSync(`/proc/${pid}/stat`, "latin1").split(" ").slice(13, 15).join();
  const before = ticks();
  await Bun.sleep(30);
  expect(ticks()).toBe(before);
  await box.runtime.resume("l-pause");
  expect(await box.runtime.observe("l-pause", box.dirs("l-pause"))).toMatchObject({ paused: false });
  await box.runtime.pause("l-pause");
  await box.runtime.kill("l-pause", 9);
  expect((await box.exit("l-pause")).exitCode).toBe(137);
  await box.runtime.delete("l-pause", { force: false });
  expectNothingLeft("l-pause");
});

test("with a tty, output is one raw stream, resize reaches the process, and detaching leaves stdin open", async () => {
  const script = [
    ...[
      "stty -echo",
      "echo ready",
      'until [ "$(stty size)" = "31 97" ]; do sleep 0.01; done',
      "echo resized",
    ],
    ...["read x", "echo got $x", "read y", "echo $y"],
  ];
  const task = box.task("l-tty", ["sh", "-c", script.join("; ")], {
    tty: true,
    openStdin: true,
    stdinOnce: true,
  });
  await box.runtime.create(task);
  const first = await box.runtime.attach(task.dirs);
  await box.runtime.start("l-tty");
  const reader = first.output.getReader();
  let seen = "";
  const heard = async (text: string) => {
    while (!seen.includes(text)) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`${JSON.stringify(text)} did not come: ${JSON.stringify(seen)}`);
      seen += Buffer.from(value.bytes).toString();
    }
  };
  await heard("ready");
  await box.runtime.resize(task.dirs, { rows: 31, columns: 97 });
  await heard("resized");
  await first.write(Buffer.from("hello\n"));
  await heard("got hello");
  await first[Symbol.asyncDispose]();
  await using second = await box.runtime.attach(task.dirs);
  await second.write(Buffer.from("again\n"));
  expect((await collect(second.output)).stdout).toContain("again");
  expect((await box.exit("l-tty")).exitCode).toBe(0);
  await box.runtime.delete("l-tty", { force: false });
});

test("a container whose monitor missed its terminal and said nothing is set up once more", async () => {
  const [conmon, lost] = [join(box.root, "conmon"), join(box.root, "lost")];
  // The container is there, and nobody is told.
  const silent = `if mkdir ${lost} 2>/dev/null; then unset _OCI_SYNCPIPE; exec /usr/bin/conmon "$@" 3>&-; fi`;
  writeFileSync(conmon, `#!/bin/sh\n${silent}\nexec /usr/bin/conmon "$@"\n`, { mode: 0o755 });
  await using runtime = box.open(undefined, undefined, conmon);
  const task = box.task("l-lost", ["sh", "-c", "[ -t 0 ] && exit 11"], { tty: true });
  await runtime.create(task);
  expect(existsSync(lost)).toBe(true);
  await runtime.start("l-lost");
  expect((await box.exit("l-lost")).exitCode).toBe(11);
  await runtime.delete("l-lost", { force: false });
  expectNothingLeft("l-lost");
});

test("several clients see the same output, and one that only watches does not end stdin when it leaves", async () => {
  const task = box.task("l-many", ["cat"], { openStdin: true, stdinOnce: true });
  await box.runtime.create(task);
  const [main, watcher, other] = await Promise.all([
    box.runtime.attach(task.dirs),
    box.runtime.attach(task.dirs, { stdin: false }),
    box.runtime.attach(task.dirs),
  ]);
  await box.runtime.start("l-many");
  await watcher[Symbol.asyncDispose]();
  await main.write(Buffer.from("both"));
  await main.closeStdin();
  expect(await Promise.all([collect(main.output), collect(other.output)])).toEqual([
    { stdout: "both", stderr: "" },
    { stdout: "both", stderr: "" },
  ]);
  await box.exit("l-many");
  await box.runtime.delete("l-many", { force: false });
});

test("a client that reads slowly loses nothing, and a kill is recorded although it does not read", async () => {
  const size = 8 << 20;
  const task = box.task("l-slow", ["head", "-c", String(size), "/dev/zero"], {
    logTarget: "none",
    mounts: [devZero()],
  });
  await box.runtime.create(task);
  await using streams = await box.runtime.attach(task.dirs);
  await box.runtime.start("l-slow");
  let got = 0;
  for await (const packet of streams.output) {
    if (got === 0) await Bun.sleep(50);
    got += packet.bytes.length;
  }
  expect(got).toBe(size);
  await box.exit("l-slow");
  await box.runtime.delete("l-slow", { force: false });

  const stuck = box.task("l-stuck", ["yes"], { logTarget: "none" });
  await box.runtime.create(stuck);
  await using unread = await box.runtime.attach(stuck.dirs);
  await box.runtime.start("l-stuck");
  await Bun.sleep(100);
  await box.runtime.kill("l-stuck", 9);
  expect((await box.exit("l-stuck")).exitCode).toBe(137);
  await unread[Symbol.asyncDispose]();
  await box.runtime.delete("l-stuck", { force: false });
});

function devZero(): object {
  return { destination: "/dev/zero", type: "bind", source: "/dev/zero", options: ["bind"] };
}

limited(
  "an OOM kill of a child is reported while pid 1 lives on, and one of pid 1 with the exit",
  async () => {
    const memory = { memory: { limit: 16 << 20, swap: 16 << 20 } };
    const hog = "x=a; while :; do x=$x$x; done";
    await box.run("l-oom", ["sh", "-c", `sh -c '${hog}'; exec sleep 1000`], { linux: { resources: memory } });
    await until(() => box.ooms.some((oom) => oom.id === "l-oom"));
    expect(await box.runtime.observe("l-oom", box.dirs("l-oom"))).toMatchObject({ status: "running" });
    await box.runtime.kill("l-oom", 9);
    expect(await box.exit("l-oom")).toMatchObject({ exitCode: 137, oomKilled: true });
    await box.runtime.delete("l-oom", { force: false });
    await box.run("l-oom1", ["sh", "-c", hog], { linux: { resources: memory } });
    expect(await box.exit("l-oom1")).toMatchObject({ exitCode: 137, oomKilled: true });
    await box.runtime.delete("l-oom1", { force: false });
  },
);

test("twenty containers at once run, end with their own codes and leave nothing", async () => {
  const ids = Array.from({ length: 20 }, (_, index) => `l-par${index}`);
  await Promise.all(
    ids.map(async (id, index) => {
      await box.run(id, ["sh", "-c", `exit ${index}`]);
      expect((await box.exit(id)).exitCode).toBe(index);
      await box.runtime.delete(id, { force: false });
      expectNothingLeft(id);
    }),
  );
});

limited("update changes the limits of a live container", async () => {
  await box.run("l-upd", ["sleep", "1000"]);
  await box.runtime.update("l-upd", {
    memory: { limit: 32 << 20 },
    pids: { limit: 17 },
    cpu: { shares: 512 },
  });
  const paths = box.runtime.cgroups("l-upd");
  const read = (controller: string, v1: string, v2: string) =>
    readFileSync(paths[""] ? join(paths[""], v2) : join(paths[controller] ?? "", v1), "utf8").trim();
  expect(read("memory", "memory.limit_in_bytes", "memory.max")).toBe(String(32 << 20));
  expect(read("pids", "pids.max", "pids.max")).toBe("17");
  await box.runtime.update("l-upd", { memory: { limit: 64 << 20, swap: 128 << 20 }, pids: { limit: -1 } });
  expect(read("memory", "memory.limit_in_bytes", "memory.max")).toBe(String(64 << 20));
  expect(read("pids", "pids.max", "pids.max")).toBe("max");
  await box.runtime.delete("l-upd", { force: true });
  expectNothingLeft("l-upd");
});

test("after a rotation the monitor writes to a new file", async () => {
  const log = join(box.root, "l-rot.log");
  await box.run("l-rot", ["sh", "-c", "echo one; read x; echo two"], { openStdin: true });
  await until(() => readFileSync(log, "utf8").includes("one"));
  const { renameSync } = await import("node:fs");
  renameSync(log, `${log}.1`);
  await box.runtime.reopenLog(box.dirs("l-rot"));
  await until(() => existsSync(log));
  await using streams = await box.runtime.attach(box.dirs("l-rot"));
  await streams.write(Buffer.from("\n"));
  await box.exit("l-rot");
  expect(readFileSync(log, "utf8")).toContain("two");
  expect(readFileSync(`${log}.1`, "utf8")).not.toContain("two");
  await box.runtime.delete("l-rot", { force: false });
  expect(codeOf(await failure(box.runtime.reopenLog(box.dirs("l-rot"))))).toBe("conflict");
});

test("no descriptor of the daemon reaches the monitor or the container, and the monitor has a session of its own", async () => {
  const { openSync, closeSync } = await import("node:fs");
  const held = Array.from({ length: 20 }, () => openSync("/etc/hostname", "r"));
  const task = box.task("l-fds", ["sh", "-c", "echo ready; exec sleep 1000"]);
  const { pid, monitorPid } = await box.runtime.create(task);
  await box.runtime.start("l-fds");
  await saidReady("l-fds");
  expect(readdirSync(`/proc/${pid}/fd`).sort()).toEqual(["0", "1", "2"]);
  const monitor = readdirSync(`/proc/${monitorPid}/fd`).map((fd) =>
    readlinkSync(`/proc/${monitorPid}/fd/${fd}`),
  );
  expect(monitor.filter((target) => target === "/etc/hostname")).toEqual([]);
  expect(processStat(monitorPid)?.parent).not.toBe(process.pid);
  const session = readFileSync(`/proc/${monitorPid}/stat`, "latin1").split(") ")[1]?.split(" ")[3];
  expect(session).toBe(String(monitorPid));
  for (const fd of held) closeSync(fd);
  await box.runtime.delete("l-fds", { force: true });
});

test("a runtime that hangs, prints garbage or dies fails the creation in time and leaves nothing", async () => {
  const script = (name: string, body: string) => {
    const path = join(box.root, name);
    writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    return path;
  };
  const cases: [string, string, RegExp][] = [
    ["hang", "exec /bin/sleep 1000", /did not answer in time/],
    ["garbage", "head -c 3000 /dev/urandom >&2; exit 1", /OCI runtime create failed/],
    ["liar", "exit 0", /OCI runtime create failed/],
    ["killed", "kill -9 $$", /OCI runtime create failed/],
  ];
  for (const [name, body, text] of cases) {
    // Only of the one that hangs is the time to be over.
    await using runtime = box.open(script(name, body), name === "hang" ? 300 : 15_000);
    const error = await failure(runtime.create(box.task(`l-${name}`, ["true"], { runtime: "crun" })));
    expect(messageOf(error)).toMatch(text);
    expectNothingLeft(`l-${name}`);
  }
});

test("runc runs the same containers", async () => {
  await box.runtime.create(box.task("l-runc", ["sh", "-c", "exit 5"], { runtime: "runc" }));
  await box.runtime.start("l-runc");
  expect((await box.exit("l-runc")).exitCode).toBe(5);
  await box.runtime.delete("l-runc", { force: false });
  const error = await failure(box.runtime.create(box.task("l-runc2", ["nosuch"], { runtime: "runc" })));
  expect(error.message).toContain('exec: "nosuch": executable file not found in $PATH');
  expect(error.detail.exitCode).toBe(127);
  expect(codeOf(await failure(box.runtime.create(box.task("l-runc3", ["true"], { runtime: "nope" }))))).toBe(
    "invalid-argument",
  );
});

test("a checkpoint by a runtime without CRIU is refused and the container runs on", async () => {
  await box.run("l-ckpt", ["sleep", "1000"], { runtime: "crun" });
  const image = join(box.root, "checkpoint");
  const error = await failure(box.runtime.checkpoint("l-ckpt", { image, leaveRunning: true }));
  expect(["not-implemented", "internal"]).toContain(error.code);
  expect(await box.runtime.observe("l-ckpt", box.dirs("l-ckpt"))).toMatchObject({ status: "running" });
  await box.runtime.delete("l-ckpt", { force: true });
});
