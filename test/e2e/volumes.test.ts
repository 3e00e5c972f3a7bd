import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, TestDaemon } from "../harness/daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

test("a named volume outlives its containers and refuses to go while one uses it", async () => {
  await daemon.ok(["run", "--rm", "-v", "keep:/data", "busybox", "sh", "-c", "echo kept >/data/f"]);
  await daemon.ok(["create", "--name", "user", "-v", "keep:/data:ro", "busybox"]);
  expect(await daemon.ok(["run", "--rm", "-v", "keep:/data:ro", "busybox", "cat", "/data/f"])).toBe("kept");
  const refused = await daemon.tug(["volume", "rm", "keep"]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("volume is in use");
  await daemon.ok(["rm", "-v", "user"]);
  expect(await daemon.ok(["volume", "ls", "-q"])).toBe("keep");
  expect(await daemon.ok(["volume", "rm", "keep"])).toBe("keep");
});

test("an empty named volume takes the image's files with owner and mode", async () => {
  const out = await daemon.ok([
    "run",
    "--rm",
    "-v",
    "seed:/etc",
    "busybox",
    "sh",
    "-c",
    "cat /etc/nsswitch.conf; stat -c %a /etc",
  ]);
  expect(out).toContain("hosts: files dns");
  expect(await daemon.ok(["run", "--rm", "-v", "seed:/x", "busybox", "ls", "/x"])).toContain("passwd");
  expect(await daemon.ok(["run", "--rm", "-v", "bare:/etc:nocopy", "busybox", "ls", "/etc"])).not.toContain(
    "nsswitch",
  );
});

test("an image's VOLUME through a symlink never copies the host's files", async () => {
  const root = join(daemon.root, "evil");
  mkdirSync(join(root, "bin"), { recursive: true });
  chmodSync(root, 0o755);
  await run(["cp", "/bin/busybox", join(root, "bin/busybox")]);
  await run(["ln", "-s", "/../../../../../../etc", join(root, "link")]);
  const tar = Bun.spawnSync(["tar", "-C", root, "-cf", "-", "."]).stdout;
  await daemon.ok(["import", "--change", "VOLUME /link", "-", "evil"], { input: tar });
  const result = await daemon.tug(["run", "--rm", "evil", "/bin/busybox", "ls", "/link"]);
  expect(result.stdout).not.toContain("passwd");
  await daemon.ok(["rmi", "evil"]);
});

test("bind mounts show the host's files both ways; ro is ro; -v makes a missing directory", async () => {
  const host = join(daemon.root, "host");
  mkdirSync(host);
  writeFileSync(join(host, "in"), "from host");
  expect(
    await daemon.ok([
      "run",
      "--rm",
      "-v",
      `${host}:/m`,
      "busybox",
      "sh",
      "-c",
      "cat /m/in; echo back >/m/out",
    ]),
  ).toBe("from host");
  expect(readFileSync(join(host, "out"), "utf8")).toBe("back\n");
  const refused = await daemon.tug(["run", "--rm", "-v", `${host}:/m:ro`, "busybox", "touch", "/m/x"]);
  expect(refused.stderr).toContain("Read-only file system");
  await daemon.ok(["run", "--rm", "-v", `${join(host, "made")}:/m`, "busybox", "true"]);
  expect(statSync(join(host, "made")).isDirectory()).toBe(true);
  const file = await daemon.ok([
    "run",
    "--rm",
    "-v",
    `${join(host, "in")}:/etc/one-file`,
    "busybox",
    "cat",
    "/etc/one-file",
  ]);
  expect(file).toBe("from host");
});

test("--mount: volume, bind, tmpfs with their options", async () => {
  const flags = [
    "--mount",
    "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770",
    "--mount",
    "type=volume,src=mv,dst=/v,readonly",
  ];
  const out = await daemon.ok([
    "run",
    "--rm",
    ...flags,
    "busybox",
    "sh",
    "-c",
    "stat -c %a /t; grep ' /t ' /proc/mounts; touch /v/x 2>&1 || true",
  ]);
  expect(out).toContain("1770");
  expect(out).toContain("size=1024k");
  expect(out).toContain("Read-only file system");
});

test("--volumes-from takes over another's mounts", async () => {
  await daemon.ok(["run", "--name", "giver", "-v", "given:/g", "busybox", "touch", "/g/there"]);
  expect(await daemon.ok(["run", "--rm", "--volumes-from", "giver", "busybox", "ls", "/g"])).toBe("there");
});

test("volume create, ls, inspect and refusals", async () => {
  expect(await daemon.ok(["volume", "create", "--label", "x=y", "made"])).toBe("made");
  const shown = JSON.parse(await daemon.ok(["volume", "inspect", "made"]))[0];
  expect([shown.Name, shown.Driver, shown.Labels, shown.Scope]).toEqual([
    "made",
    "local",
    { x: "y" },
    "local",
  ]);
  expect((await daemon.ok(["volume", "create"])).length).toBe(64);
  expect((await daemon.tug(["volume", "create", "bad/name"])).stderr).toContain(
    "includes invalid characters for a local volume name",
  );
  const missing = await daemon.tug(["volume", "rm", "nosuch"]);
  expect(missing.code).toBe(1);
  expect(missing.stderr).toContain("get nosuch: no such volume");
});

test("nobody but root can reach into the state directories", async () => {
  await daemon.ok(["run", "-d", "-v", "priv:/p", "busybox", "sleep", "1000"]);
  chmodSync(daemon.root, 0o755);
  const look = await run([
    "su",
    "-s",
    "/bin/sh",
    "nobody",
    "-c",
    `find ${daemon.dataRoot} ${daemon.execRoot} -mindepth 2 2>/dev/null | head -5`,
  ]);
  expect(look.stdout).toBe("");
});
