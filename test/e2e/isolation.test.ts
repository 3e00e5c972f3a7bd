import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { readlinkSync } from "node:fs";
import { eventually, run, TestDaemon } from "../harness/daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const inside = (script: string, ...flags: string[]) =>
  daemon.ok(["run", "--rm", ...flags, "busybox", "sh", "-c", script]);

test("a container has namespaces of its own and sees only itself", async () => {
  const kinds = ["pid", "net", "mnt", "uts", "ipc", "cgroup"];
  const script = kinds.map((kind) => `readlink /proc/self/ns/${kind}`).join("; ");
  const theirs = (await inside(script)).split("\n");
  const ours = (await run(["sh", "-c", script])).stdout.trim().split("\n");
  if (!(await Bun.file("/proc/self/ns/cgroup").exists())) kinds.pop();
  for (const [index, kind] of kinds.entries()) {
    // Docker shares the host's cgroup namespace on cgroup v1.
    if (kind !== "cgroup") expect(`${kind} ${theirs[index]}`).not.toBe(`${kind} ${ours[index]}`);
  }
  expect(await inside("ls /proc | grep -c '^[0-9]'")).toMatch(/^[1-4]$/);
  expect(await inside("echo $$")).toBe("1");
});

test("exactly Docker's 14 capabilities, none inheritable, and --cap-add/--cap-drop", async () => {
  const status = await inside("grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status");
  expect(status).toContain("CapInh:\t0000000000000000");
  expect(status).toContain("CapEff:\t00000000a80425fb");
  expect(status).toContain("CapBnd:\t00000000a80425fb");
  expect(status).toContain("CapAmb:\t0000000000000000");
  expect(status).toContain("Seccomp:\t2");
  expect(status).toContain("NoNewPrivs:\t0");
  expect(await inside("grep CapEff /proc/self/status", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN")).toBe(
    "CapEff:\t0000000000001000",
  );
  expect(await inside("grep NoNewPrivs /proc/self/status", "--security-opt", "no-new-privileges")).toBe(
    "NoNewPrivs:\t1",
  );
  expect(await inside("grep CapEff /proc/self/status", "-u", "daemon")).toBe("CapEff:\t0000000000000000");
});

test("sensitive files of /proc and /sys are masked or read-only", async () => {
  expect(
    await inside(
      "cat /proc/kcore 2>/dev/null | wc -c; cat /proc/keys 2>/dev/null | wc -c; ls /proc/scsi /sys/firmware 2>/dev/null | grep -c ''",
    ),
  ).toMatch(/^0\n0\n\d+$/);
  const writes = await inside("(echo x >/proc/sys/kernel/hostname) 2>&1; mkdir /sys/kernel/x 2>&1; true");
  expect(writes.match(/Read-only file system/g)?.length).toBeGreaterThanOrEqual(2);
  const unmasked = await inside(
    "grep -c /proc/kcore /proc/self/mountinfo; true",
    "--security-opt",
    "systempaths=unconfined",
  );
  expect(unmasked).toBe("0");
});

test("seccomp denies what Docker denies: mount, unshare, AF_ALG sockets; unconfined allows", async () => {
  expect(await inside("unshare -U true 2>&1; true")).toMatch(/not permitted|Operation not permitted/);
  expect(await inside("mount -t tmpfs x /tmp 2>&1; true")).toMatch(/permission denied|not permitted/i);
  expect(await inside("grep Seccomp: /proc/self/status", "--security-opt", "seccomp=unconfined")).toBe(
    "Seccomp:\t0",
  );
});

test("devices: the usual ones, and --device", async () => {
  expect((await inside("ls /dev")).split("\n")).toEqual(
    expect.arrayContaining(["full", "null", "ptmx", "pts", "random", "shm", "tty", "urandom", "zero"]),
  );
  const mknod = await inside("mknod /tmp/loop b 7 0 && head -c1 /tmp/loop 2>&1; true");
  expect(mknod).toMatch(/not permitted/i);
  expect(await inside("ls -l /dev/mine | cut -c1", "--device", "/dev/zero:/dev/mine:r")).toBe("c");
});

test("--privileged takes what the host can give", async () => {
  const host = /CapBnd:\s+(\w+)/.exec((await run(["cat", "/proc/self/status"])).stdout)?.[1] ?? "";
  expect(await inside("grep CapEff /proc/self/status", "--privileged")).toBe(`CapEff:\t${host}`);
  expect(await inside("mount -t tmpfs x /tmp && echo mounted", "--privileged")).toBe("mounted");
});

test("limits never exceed the host's, and those asked for hold", async () => {
  expect(await inside("ulimit -n", "--ulimit", "nofile=512:1024")).toBe("512");
  expect(Number(await inside("ulimit -n"))).toBeGreaterThan(0);
  expect(
    await inside(
      "cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
      "--sysctl",
      "net.ipv4.ip_unprivileged_port_start=80",
    ),
  ).toBe("80");
  const refused = await daemon.tug(["run", "--rm", "--sysctl", "kernel.panic=1", "busybox", "true"]);
  expect(refused.code).toBe(125);
});

test("no descriptor or path of the daemon leaks into a container", async () => {
  const fds = await inside("ls -l /proc/self/fd | grep -e '->' | sed 's/.*-> //'");
  for (const target of fds.split("\n"))
    expect(target).toMatch(/^(\/dev\/(null|pts\/\d+)|pipe:\[\d+\]|\/proc\/\d+\/fd)$/);
  for (const n of [3, 5, 7, 8, 9, 12, 20]) {
    const result = await daemon.tug([
      "run",
      "--rm",
      "-w",
      `/proc/self/fd/${n}`,
      "busybox",
      "sh",
      "-c",
      "cat ../../../etc/shadow; ls ../../../../work",
    ]);
    expect(result.stdout).toBe("");
  }
});

test("--ipc host works whether or not the host has mounted its message queues", async () => {
  const script = "readlink /proc/self/ns/ipc; grep -c ' /dev/mqueue ' /proc/mounts";
  const seen = await daemon.ok(["run", "--rm", "--ipc", "host", "busybox", "sh", "-c", script]);
  expect(seen.split("\n")).toEqual([readlinkSync("/proc/self/ns/ipc"), "1"]);
});

test("sharing: --pid host, --ipc container:, --uts host, --pid container:", async () => {
  expect(Number(await inside("ls /proc | grep -c '^[0-9]'", "--pid", "host"))).toBeGreaterThan(3);
  expect(await inside("hostname", "--uts", "host")).toBe((await run(["hostname"])).stdout.trim());
  await daemon.ok(["run", "-d", "--name", "base", "--ipc", "shareable", "busybox", "sleep", "1000"]);
  // A started container's init becomes the program a moment later.
  await eventually("its first process is the other's", async () => {
    return (await inside("tr '\\0' ' ' < /proc/1/cmdline", "--pid", "container:base")) === "sleep 1000 ";
  });
  expect(await inside("readlink /proc/self/ns/ipc", "--ipc", "container:base")).toBe(
    await daemon.ok(["exec", "base", "readlink", "/proc/self/ns/ipc"]),
  );
  expect(await inside("readlink /proc/self/ns/net", "--network", "container:base")).toBe(
    await daemon.ok(["exec", "base", "readlink", "/proc/self/ns/net"]),
  );
});

test("a start that fails with shared memory mounted says why, and leaves nothing", async () => {
  const failed = await daemon.tug(["run", "--rm", "--ipc", "shareable", "busybox", "nosuchcommand"]);
  expect(failed.stderr).toContain("executable file not found in $PATH");
  expect(failed.code).toBe(127);
});
