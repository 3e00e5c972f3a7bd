import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, TestDaemon } from "../harness/daemon.ts";

/**
 * CVE-2024-21626: a descriptor of a host directory that reaches a container's process is a way out, by its number or as a working
 * directory. The daemon is given some that nobody closed at exec.
 */
const secret = "SECRET OF THE HOST";
let daemon: TestDaemon;
let host: string;
beforeAll(async () => {
  host = mkdtempSync("/tmp/tug-e2e-host-");
  writeFileSync(join(host, "file"), secret);
  const script = `exec 11<"$0" 12<"$0/file" 13</ 14</proc 19</sys/fs/cgroup 30<"$0"; exec "$@"`;
  daemon = await TestDaemon.start({ launcher: ["bash", "-c", script, host] });
  // Or the test shows nothing.
  expect(readlinkSync(`/proc/${daemon.pid}/fd/30`)).toBe(host);
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(async () => {
  rmSync(host, { recursive: true, force: true });
  await daemon.close();
});

/** What the descriptors of a process lead to. */
function descriptors(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [`${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return []; // closed while we looked
      throw error;
    }
  });
}

const ours = /^[012] (\/dev\/null|\/dev\/pts\/\d+|\/\d+|\/dev\/console|pipe:\[\d+\]|socket:\[\d+\])$/;

for (const runtime of ["crun", "runc"]) {
  test(`processes of a container have their three streams and nothing else of the daemon (${runtime})`, async () => {
    const run = ["run", "-d", "--runtime", runtime, "--network", "none"];
    await daemon.ok([...run, "--name", "plain", "busybox", "sleep", "1000"]);
    await daemon.ok([...run, "-it", "--name", "tty", "busybox", "sleep", "1000"]);
    await daemon.ok([...run, "--init", "--name", "init", "busybox", "sleep", "1000"]);
    for (const name of ["plain", "tty", "init"]) {
      await daemon.ok(["exec", "-d", name, "sleep", "2000"]);
      await daemon.ok(["exec", "-dit", name, "sleep", "2000"]);
      let top = "";
      // A moment before that they are still the runtime's.
      await eventually("all have become their programs", async () => {
        top = await daemon.ok(["top", name, "-eo", "pid,args"]);
        return (top.match(/sleep [12]000/g) ?? []).length >= (name === "init" ? 4 : 3);
      });
      const pids = top
        .split("\n")
        .flatMap((line) => (/sleep|init/.test(line) ? [Number.parseInt(line, 10)] : []));
      expect(pids.length).toBeGreaterThanOrEqual(3);
      for (const pid of pids) {
        for (const fd of descriptors(pid))
          expect(`${name}: ${fd}`).toMatch(new RegExp(`^${name}: ${ours.source.slice(1)}`));
        expect(readlinkSync(`/proc/${pid}/cwd`)).toBe("/");
      }
    }
  }, 120_000);

  test(`no working directory is a way out, told by number or by a link of the image (${runtime})`, async () => {
    const run = ["run", "--runtime", runtime, "--network", "none"];
    const look = `cat ./file ../file ../../../..${host}/file 2>/dev/null; pwd -P`;
    await daemon.ok([
      ...[...run, "-d", "--name", "links", "busybox", "sh", "-c"],
      "for n in $(seq 3 30); do ln -s /proc/self/fd/$n /w$n; ln -s /proc/1/cwd/../../fd/$n /v$n; done; touch /made; exec sleep 1000",
    ]);
    while ((await daemon.tug(["exec", "links", "test", "-e", "/made"])).code !== 0);
    await daemon.ok(["commit", "links", "links:image"]);
    const numbers = Array.from({ length: 28 }, (_, index) => index + 3);
    const attempts = numbers.flatMap((n) => [
      ["exec", "-w", `/proc/self/fd/${n}`, "links"],
      ["exec", "-w", `/w${n}`, "links"],
      [...run, "--rm", "-w", `/w${n}`, "links:image"],
    ]);
    attempts.push(["exec", "-w", "/proc/thread-self/../self/fd/7/../..", "links"]);
    const work = [...attempts.entries()];
    const worker = async () => {
      for (let next = work.shift(); next; next = work.shift()) {
        const [, attempt] = next;
        const { stdout } = await daemon.tug([...attempt, "sh", "-c", look]);
        expect(`${attempt.join(" ")}: ${stdout}`).not.toContain(secret);
        // "pwd -P" of a directory outside fails or prints "(unreachable)".
        expect(`${attempt.join(" ")}: ${stdout}`).not.toContain("unreachable");
      }
    };
    await Promise.all([worker(), worker(), worker(), worker()]);
    await daemon.assertClean();
    await daemon.ok(["rmi", "links:image"]);
  }, 120_000);
}

test("the monitor and what the daemon leaves running hold nothing of it but their own", async () => {
  const id = await daemon.ok(["run", "-d", "--name", "one", "busybox", "sleep", "1000"]);
  const monitor = Number(readFileSync(join(daemon.execRoot, "containers", id, "monitor.pid"), "utf8"));
  for (const fd of descriptors(monitor)) {
    expect(fd).not.toContain(host);
    expect(fd).not.toMatch(/ \/(proc|sys\/fs\/cgroup)?$/);
  }
});
