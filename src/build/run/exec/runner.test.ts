import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { codeOf, messageOf } from "../../../base/lib/errors.ts";
import { until } from "../../../base/lib/testdata/until.ts";
import { cgroupPathsFor, cgroupPids } from "../../../base/sys/cgroup/cgroup.ts";
import { readMountInfo } from "../../../base/sys/mount/mountinfo.ts";
import { ExecBench } from "./testdata/exec-bench.ts";

// A machine under load takes its time.
setDefaultTimeout(60_000);

let bench: ExecBench;
beforeAll(async () => {
  bench = await ExecBench.open();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

const failed = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { code: codeOf(error), message: messageOf(error) };
};

/** What a step that is over must not have left. */
function leftovers(): readonly string[] {
  const steps = join(bench.deps.root, "steps");
  const cgroups = cgroupPathsFor(bench.hierarchy, bench.layout.parent);
  return [
    ...readdirSync(steps),
    ...readMountInfo().flatMap(({ mountpoint }) => (mountpoint.startsWith(bench.root) ? [mountpoint] : [])),
    ...Object.values(cgroups)
      .flatMap((path) =>
        existsSync(path) ? readdirSync(path, { withFileTypes: true }).filter((one) => one.isDirectory()) : [],
      )
      .map(({ name }) => name),
    ...readdirSync(join(bench.root, "crun")),
  ];
}

test("a step runs isolated as a container does, and its layer holds what it did and nothing else", async () => {
  const { snapshot, stdout } = await bench.run(
    "id; hostname; echo $$; env; grep -E '^(CapEff|CapInh|Seccomp):' /proc/self/status; cat /etc/hosts /etc/resolv.conf; cat /proc/keys; echo made >/made; touch /etc/passwd",
    {
      op: {
        env: ["PATH=/bin", "A=1"],
        proxyEnv: ["http_proxy=p", "A=2"],
        hosts: [{ host: "db", address: "192.0.2.9" }],
      },
    },
  );
  expect(stdout).toContain("uid=0(root) gid=0(root)");
  expect(stdout).toContain("buildkitsandbox\n1\n");
  expect(stdout).toMatch(/CapInh:\t0000000000000000\nCapEff:\t00000000a80425fb\nSeccomp:\t2/);
  expect(stdout).toContain("192.0.2.9\tdb\n");
  expect(stdout).toContain("127.0.0.1\tbuildkitsandbox\n");
  expect(stdout).toContain("nameserver 192.0.2.53\n");
  expect(stdout).toContain("http_proxy=p\n");
  expect(stdout).toContain("A=1\n");
  expect(bench.layer(snapshot)).toEqual(["etc/", "etc/passwd", "made"]);
  expect(leftovers()).toEqual([]);
});

test("a step that changes nothing has an empty layer although its root lacked every place that is mounted on", async () => {
  const bare = await bench.tree({ "etc/resolv.conf": "-> /run/systemd/resolve/stub.conf" }, undefined);
  const { snapshot } = await bench.run("true", {
    mounts: [
      { kind: "tmpfs", target: "/a/b/c", size: 0 },
      { kind: "bind", target: "/bin", from: 1, source: "/bin", readonly: true },
    ],
    root: bare,
    inputs: [bench.base],
  });
  expect(bench.layer(snapshot)).toEqual([]);
});

test("user, groups, home and working directory come from the root's own files; a missing directory is made", async () => {
  const { snapshot, stdout } = await bench.run("id; echo $HOME; pwd", { op: { user: "web", cwd: "/w/x" } });
  expect(stdout).toBe("uid=33(web) gid=33(web) groups=33(web),44(extra)\n/srv\n/w/x\n");
  expect(bench.layer(snapshot)).toEqual(["w/", "w/x/"]);
  const numeric = await bench.run("id", { op: { user: "7:44" } });
  expect(numeric.stdout).toBe("uid=7 gid=44(extra) groups=44(extra)\n");
  expect(await failed(bench.run("id", { op: { user: "nobody" } }))).toEqual({
    code: "invalid-argument",
    message:
      'process "/bin/sh -c id" did not complete successfully: unable to find user nobody: no matching entries in passwd file',
  });
});

test("what fails says so as BuildKit does, and leaves no snapshot", async () => {
  const before = [...bench.snapshotter.list()].length;
  expect(await failed(bench.run('echo "a" && exit 3'))).toEqual({
    code: "runtime-command",
    message: 'process "/bin/sh -c echo \\"a\\" && exit 3" did not complete successfully: exit code: 3',
  });
  expect((await failed(bench.run("sleep 100 & kill -9 $!; wait $!"))).message).toContain("exit code: 137");
  const said: string[] = [];
  const log = (_stream: string, bytes: Uint8Array) => void said.push(Buffer.from(bytes).toString());
  expect((await failed(bench.run(["/bin/bash", "-c", "x"], { log }))).message).toContain("exit code: 1");
  expect((await failed(bench.run(["nothing"], { log }))).message).toContain("exit code: 1");
  expect((await failed(bench.run(["/etc/passwd"], { log }))).message).toContain("exit code: 1");
  expect(said).toEqual([
    'crun run failed: unable to start container process: exec: "/bin/bash": stat /bin/bash: no such file or directory\n',
    'crun run failed: unable to start container process: exec: "nothing": executable file not found in $PATH\n',
    'crun run failed: unable to start container process: exec: "/etc/passwd": permission denied\n',
  ]);
  expect([...bench.snapshotter.list()].length).toBe(before);
  expect(leftovers()).toEqual([]);
});

test("runc runs steps too and tells of memory that ran out", async () => {
  await using other = await ExecBench.open({ runtime: "runc" });
  expect((await other.run("echo hi >/dev/stdout; echo err >/dev/stderr")).stdout).toBe("hi\n");
  const said: string[] = [];
  const log = (_stream: string, bytes: Uint8Array) => void said.push(Buffer.from(bytes).toString());
  expect((await failed(other.run(["/bin/bash"], { log }))).message).toContain("exit code: 1");
  expect(said.join("")).toBe(
    'runc run failed: unable to start container process: exec: "/bin/bash": stat /bin/bash: no such file or directory\n',
  );
  if (!other.hierarchy.controllers.includes("memory")) return console.log("no memory controller: not tried");
  const hungry = other.run("dd if=/dev/zero of=/dev/null bs=200M count=1 iflag=fullblock", {
    op: { resources: { Memory: 20 << 20, MemorySwap: 20 << 20 } },
  });
  expect((await failed(hungry)).message).toEndWith("did not complete successfully: cannot allocate memory");
});

test("crun, which takes a v1 cgroup away at once, does not hide that memory ran out; other failures are none of it", async () => {
  if (!bench.hierarchy.controllers.includes("memory")) return console.log("no memory controller: not tried");
  const bounds = { op: { resources: { Memory: 20 << 20, MemorySwap: 20 << 20 } } };
  const why = async (script: string) =>
    (await failed(bench.run(script, bounds))).message.split("successfully: ")[1];
  const hungry = "dd if=/dev/zero of=/dev/null bs=200M count=1 iflag=fullblock";
  expect(await why(`exec ${hungry}`)).toBe("cannot allocate memory");
  // A child's end decides, as with BuildKit, whatever the step itself makes of it.
  expect(await why(`${hungry} 2>/dev/null; exit 3`)).toBe("cannot allocate memory");
  expect(await why(`exec >/dev/null 2>&1; ${hungry}; exit 4`)).toBe("cannot allocate memory");
  expect(await why("exit 5")).toBe("exit code: 5");
  expect(await why("kill -9 $$; sleep 100 & kill -9 $!; wait $!")).toBe("exit code: 137");
  await bench.run(`${hungry}; true`, bounds);
  expect(leftovers()).toEqual([]);
});

test("no byte of the output is lost, and a slow reader slows the step instead of filling memory", async () => {
  const { stdout, stderr } = await bench.run(
    "i=0; while [ $i -lt 3000 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done; printf last",
  );
  expect(stdout.split("\n").length).toBe(3001);
  expect(stdout).toEndWith("\nlast");
  expect(stderr.split("\n").length).toBe(3001);
  let length = 0;
  let waiting = 0;
  let most = 0;
  await bench.run("head -c 20000000 /dev/zero", {
    log: async (_stream, bytes) => {
      length += bytes.length;
      most = Math.max(most, ++waiting);
      await Bun.sleep(0);
      waiting--;
    },
  });
  expect({ length, most }).toEqual({ length: 20_000_000, most: 1 });
});

test("an abort kills all that a step started and leaves nothing, however early it comes", async () => {
  for (const script of [
    "echo up; sleep 100 & (trap '' TERM; sleep 100) & wait",
    "echo up; :(){ : | : & }; while true; do : & done",
  ]) {
    const controller = new AbortController();
    const reason = new Error("enough");
    const work = bench.run(script, {
      signal: controller.signal,
      op: { resources: { PidsLimit: 64 } },
      log: () => controller.abort(reason),
    });
    expect(await work.catch((error: unknown) => error)).toBe(reason);
    expect(leftovers()).toEqual([]);
  }
  for (let ms = 0; ms < 30; ms += 3) {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("early")), ms);
    const error = await bench.run("sleep 100", { signal: controller.signal }).catch((one: unknown) => one);
    expect(messageOf(error)).toBe("early");
  }
  expect(leftovers()).toEqual([]);
});

test("a fork bomb is bounded without anybody asking for it", async () => {
  const { stdout } = await bench.run(
    "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null || true",
  );
  if (bench.hierarchy.controllers.includes("pids")) expect(stdout).toBe("16384\n");
});

test("the host's network, more rights and devices take an entitlement", async () => {
  const refused = async (op: Parameters<ExecBench["run"]>[1]) => await failed(bench.run("true", op));
  expect(await refused({ op: { security: "insecure" } })).toEqual({
    code: "forbidden",
    message: "security.insecure is not allowed",
  });
  expect((await refused({ op: { network: "host" } })).message).toBe("network.host is not allowed");
  const device = [{ name: "vendor.com/class=x", required: true }];
  expect((await refused({ op: { devices: device } })).message).toBe(
    "device vendor.com/class=x is not allowed",
  );
  const optional = [{ name: "vendor.com/class=x", required: false }];
  expect((await bench.run("echo without", { op: { devices: optional } })).stdout).toBe("without\n");
  const insecure = await bench.run(
    "grep CapEff /proc/self/status; mount -t tmpfs none /bin && echo mounted",
    {
      op: { security: "insecure" },
      entitlements: ["security.insecure"],
    },
  );
  expect(insecure.stdout).toContain("mounted");
  const host = await bench.run("readlink /proc/self/ns/net", {
    op: { network: "host" },
    entitlements: ["network.host"],
  });
  expect(host.stdout.trim()).toBe(readlinkSync("/proc/self/ns/net"));
  expect((await bench.run("ifconfig -a")).stdout).toMatch(/^lo .*127\.0\.0\.1/s);
});

test("ulimits, shared memory and limits are those that were asked for", async () => {
  const { stdout } = await bench.run("ulimit -n; stat -f -c '%b %s' /dev/shm", {
    op: { ulimits: [{ name: "nofile", soft: 300, hard: 400 }], shmSize: 1 << 20 },
  });
  const [limit, shm = ""] = stdout.split("\n");
  const [blocks = 0, size = 0] = shm.split(" ").map(Number);
  expect([limit, blocks * size]).toEqual(["300", 1 << 20]);
});

test("a killed daemon's step ends by itself, and the next one takes away what it left", async () => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "testdata/doomed.ts")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const reader = child.stdout.getReader();
  let said = "";
  while (!said.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`it ended before its step ran, and said ${JSON.stringify(said)}`);
    said += Buffer.from(value).toString();
  }
  const { root, parent } = JSON.parse(said) as { root: string; parent: string };
  const cgroups = cgroupPathsFor(bench.hierarchy, parent);
  expect(cgroupPids(cgroups).length).toBeGreaterThan(0);
  child.kill("SIGKILL");
  await child.exited;
  await until(() => cgroupPids(cgroups).length === 0, 20_000);
  await ExecBench.recover(root, parent);
  expect(readMountInfo().filter(({ mountpoint }) => mountpoint.startsWith(root))).toEqual([]);
  expect(existsSync(root)).toBe(false);
  expect(Object.values(cgroups).filter((path) => existsSync(path))).toEqual([]);
});
