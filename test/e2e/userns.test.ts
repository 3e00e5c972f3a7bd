import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { eventually, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { withSubordinateIds } from "../harness/subordinate-ids.ts";

const account = "daemon";
const first = 1_200_000;

let ids: ReturnType<typeof withSubordinateIds>;
let daemon: TestDaemon;
let root: string;
beforeAll(async () => {
  ids = withSubordinateIds(account, first);
  root = ids.openRoot(mkdtempSync("/tmp/tug-e2e-"));
  daemon = await TestDaemon.start({ root, flags: ["--userns-remap", account] });
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(async () => {
  try {
    await daemon.close();
  } finally {
    ids.release();
  }
});

const pidOf = async (name: string) => Number(await daemon.ok(["inspect", "-f", "{{.State.Pid}}", name]));

for (const runtime of ["crun", "runc"]) {
  test(`root in the container is a subordinate id outside, and all else is as ever (${runtime})`, async () => {
    const run = ["run", "-d", "--runtime", runtime, "--name", "mapped"];
    await daemon.ok([...run, "busybox", "sh", "-c", "touch /made; exec sleep 1000"]);
    const pid = await pidOf("mapped");
    await eventually("its program runs", () => existsSync(`/proc/${pid}/root/made`));
    expect(statSync(`/proc/${pid}`).uid).toBe(first);
    const inside = async (...command: string[]) => await daemon.ok(["exec", "mapped", ...command]);
    expect((await inside("cat", "/proc/self/uid_map")).trim().split(/\s+/)).toEqual([
      "0",
      String(first),
      "65536",
    ]);
    expect(await inside("stat", "-c", "%u %g", "/", "/bin", "/made", "/etc/hosts", "/etc/resolv.conf")).toBe(
      Array(5).fill("0 0").join("\n"),
    );
    expect(await inside("sh", "-c", "echo 127.0.0.9 x >> /etc/hosts && chown 1000:1000 /made && id -u")).toBe(
      "0",
    );
    expect(statSync(`/proc/${pid}/root/made`).uid).toBe(first + 1000);
    const diff = await daemon.ok(["diff", "mapped"]);
    expect(diff).toContain("A /made");
    await daemon.ok(["restart", "-t", "0", "mapped"]);
    expect(await inside("ls", "/made")).toBe("/made");
  });

  test(`the host's root owns nothing in it: bind mounts are not mapped, volumes are (${runtime})`, async () => {
    const directory = join(root, "bound");
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, 0o755);
    writeFileSync(join(directory, "theirs"), "", { mode: 0o600 });
    writeFileSync(join(directory, "mapped"), "x", { mode: 0o600 });
    chownSync(join(directory, "mapped"), first + 5, first + 5);
    const script =
      "stat -c %u /b/theirs /b/mapped; cat /b/theirs 2>&1; touch /b/new 2>&1; touch /v/own && stat -c '%u %u' /v /v/own; ls /vol/seeded";
    expect(
      await daemon.ok([
        ...["run", "--rm", "--runtime", runtime, "-v", `${directory}:/b`, "-v", "data:/v"],
        ...["busybox", "sh", "-c", `mkdir -p /vol/seeded; ${script}`],
      ]),
    ).toBe(
      [
        "65534",
        "5",
        "cat: can't open '/b/theirs': Permission denied",
        "touch: /b/new: Permission denied",
        "0 0",
        "0 0",
      ].join("\n"),
    );
    rmSync(directory, { recursive: true });
  });
}

test("--userns=host runs with the host's ids on the same image and volume", async () => {
  await daemon.ok(["run", "--rm", "-v", "both:/v", "busybox", "sh", "-c", "touch /v/a; chown 7:8 /v/a"]);
  const seen = await daemon.ok([
    ...["run", "--rm", "--userns", "host", "-v", "both:/v", "busybox"],
    ...["sh", "-c", "stat -c '%u %g' /v/a /bin/sh; cat /proc/self/uid_map"],
  ]);
  expect(seen.split(/\s+/)).toEqual(["7", "8", "0", "0", "0", "0", "4294967295"]);
});

test("what would need the host's ids is refused in Docker's words", async () => {
  const refused = async (...flags: string[]) =>
    (await daemon.tug(["create", ...flags, "busybox", "true"])).stderr;
  expect(await refused("--privileged")).toContain(
    "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode",
  );
  expect(await refused("--network", "host")).toContain(
    "cannot share the host's network namespace when user namespaces are enabled",
  );
  expect(await refused("--pid", "host")).toContain(
    "cannot share the host PID namespace when user namespaces are enabled",
  );
  await daemon.ok(["run", "--rm", "--privileged", "--userns", "host", "busybox", "true"]);
  expect(await daemon.ok(["info", "-f", "{{.SecurityOptions}}"])).toContain("name=userns");
});

test("cp both ways, export and commit speak of the container's ids, also while it runs", async () => {
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "files",
    "busybox",
    "sh",
    "-c",
    "touch /in; chown 5:6 /in; exec sleep 1000",
  ]);
  const local = join(root, "local");
  mkdirSync(local, { recursive: true });
  writeFileSync(join(local, "sent"), "text");
  chownSync(join(local, "sent"), 42, 43);
  const owners = async (...args: string[]) => {
    const tar = join(local, "out.tar");
    await daemon.ok(["exec", "files", "true"]).catch(() => "");
    const out = Bun.spawnSync(["sh", "-c", `"$@" > ${tar}`, "sh", tugBinary, ...args], {
      env: { ...process.env, DOCKER_HOST: daemon.host },
    });
    expect(out.stderr.toString()).toBe("");
    const listed = Bun.spawnSync(["tar", "--numeric-owner", "-tvf", tar]).stdout.toString();
    return listed
      .split("\n")
      .filter((line) => /\b(in|sent|hosts|sh)$/.test(line))
      .map((line) => `${line.split(/\s+/)[1]} ${line.split("/").at(-1)?.split(" ").at(-1)}`);
  };
  await eventually("its file is the other's", async () => {
    return (await daemon.tug(["exec", "files", "stat", "-c", "%u:%g", "/in"])).stdout === "5:6\n";
  });
  await daemon.ok(["cp", "-a", join(local, "sent"), "files:/sent"]);
  expect(await daemon.ok(["exec", "files", "stat", "-c", "%u %g", "/sent"])).toBe("42 43");
  await daemon.ok(["cp", join(local, "sent"), "files:/dev/shm/plain"]);
  expect(await daemon.ok(["exec", "files", "cat", "/dev/shm/plain"])).toBe("text");
  expect(await owners("cp", "files:/in", "-")).toEqual(["5/6 in"]);
  const running = await owners("export", "files");
  expect(running).toContain("5/6 in");
  expect(running).toContain("42/43 sent");
  await daemon.ok(["commit", "files", "kept"]);
  expect(await daemon.ok(["run", "--rm", "kept", "stat", "-c", "%u %g", "/in", "/sent"])).toBe("5 6\n42 43");
  await daemon.ok(["stop", "-t", "0", "files"]);
  expect((await owners("export", "files")).sort()).toEqual(running.sort());
});

test("secrets, shared memory and joined namespaces work in a user namespace", async () => {
  await daemon.ok(["secret", "create", "key", "-"], { input: "hidden" });
  await daemon.ok([
    ...["run", "-d", "--name", "owner", "--ipc", "shareable", "--secret", "source=key,uid=9", "busybox"],
    ...["sh", "-c", "cp /run/secrets/key /dev/shm/k; exec sleep 1000"],
  ]);
  expect(await daemon.ok(["exec", "owner", "stat", "-c", "%u %a", "/run/secrets/key"])).toBe("9 400");
  await eventually("it has copied the secret", async () => {
    return (await daemon.tug(["exec", "owner", "cat", "/dev/shm/k"])).stdout === "hidden";
  });
  const join = ["--network", "container:owner", "--ipc", "container:owner", "--pid", "container:owner"];
  expect(
    await daemon.ok([
      "run",
      "--rm",
      ...join,
      "busybox",
      "sh",
      "-c",
      "cat /dev/shm/k; id -u; ip -o addr show eth0 | wc -l",
    ]),
  ).toBe("hidden0\n1");
  await daemon.ok(["rm", "-f", "owner"]);
  await daemon.ok(["secret", "rm", "key"]);
});

test("nobody but root and the mapped group passes through the daemon's directories", async () => {
  await daemon.ok(["run", "-d", "--name", "open", "busybox", "sleep", "1000"]);
  const id = await daemon.ok(["inspect", "-f", "{{.Id}}", "open"]);
  for (const path of ["", "containers", `containers/${id}`]) {
    const { mode, uid, gid } = statSync(join(daemon.dataRoot, path));
    expect([path, (mode & 0o777).toString(8), uid, gid]).toEqual([path, "710", 0, first]);
  }
  expect(statSync(join(daemon.dataRoot, "overlay2")).mode & 0o777).toBe(0o700);
});

test("the host's /dev/null stays root's, whatever runtime and exec do with standard input", async () => {
  const host = () => {
    const { uid, gid, mode } = statSync("/dev/null");
    return [uid, gid, mode & 0o7777];
  };
  const before = host();
  const spoil = ["sh", "-c", "chmod 600 /dev/null && echo changed"];
  expect((await daemon.tug(["run", "--rm", "--network", "none", "busybox", ...spoil])).stdout).toBe("");
  expect(host()).toEqual(before);
  await daemon.ok(["run", "-d", "--name", "nulls", "--network", "none", "busybox", "sleep", "1000"]);
  await daemon.ok(["exec", "nulls", "true"]);
  expect(host()).toEqual(before);
  expect(
    (await daemon.tug(["exec", "nulls", "sh", "-c", "sleep 0.3; chmod 600 /dev/null && echo changed"]))
      .stdout,
  ).toBe("");
  expect(host()).toEqual(before);
  await daemon.ok(["rm", "-f", "nulls"]);
});

test("layers that are whole trees are mapped as well, an image that is mounted is read-only", async () => {
  const own = ids.openRoot(mkdtempSync("/tmp/tug-e2e-"));
  const trees = await TestDaemon.start({ root: own, flags: ["--userns-remap", account, "-s", "vfs"] });
  try {
    const alone = ["run", "--network", "none"];
    await trees.ok([...alone, "--name", "maker", "busybox", "sh", "-c", "touch /made; chown 33:34 /made"]);
    const tree = (name: string) =>
      new Bun.Glob(`vfs/*/tree/${name}`).scanSync({ cwd: trees.dataRoot }).next().value;
    const { uid, gid } = statSync(join(trees.dataRoot, String(tree("made"))));
    expect([uid, gid]).toEqual([33, 34]);
    await trees.ok(["commit", "maker", "made"]);
    const look = "stat -c %u:%g /i/made; touch /i/other; awk '{ print $2 }' /proc/self/uid_map";
    const mount = ["--mount", "type=image,src=made,dst=/i"];
    const { stdout, stderr } = await trees.tug([...alone, "--rm", ...mount, "busybox", "sh", "-c", look]);
    expect(stdout).toBe(`33:34\n${first}\n`);
    expect(stderr).toContain("Read-only file system");
  } finally {
    await trees.close();
  }
}, 120_000);
