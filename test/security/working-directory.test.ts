import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { TestDaemon } from "../harness/daemon.ts";

/** CVE-2026-55686: a working directory is made for the container, through links that mean the container's root. */
let daemon: TestDaemon;
let host: string;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  host = mkdtempSync("/tmp/tug-e2e-host-");
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(async () => {
  rmSync(host, { recursive: true, force: true });
  await daemon.close();
});

test("a working directory behind links of the image or of a volume is made inside, and nothing on the host changes", async () => {
  const shared = join(host, "shared");
  mkdirSync(shared);
  mkdirSync(join(host, "private"), { mode: 0o700 });
  const before = statSync(host);
  await daemon.ok([
    ...["run", "--name", "links", "busybox", "sh", "-c"],
    `mkdir -p ${host}/private; ln -s /../../../..${host} /absolute; ln -s ../../../../../..${host} /relative; ln -s absolute/private /chain; ln -s /proc/1/root${host} /magic; ln -s /proc/self/cwd/../../..${host} /cwd; mkdir -p /d; ln -s ${host} /d/deep`,
  ]);
  await daemon.ok(["commit", "links", "links:image"]);
  for (const runtime of ["crun", "runc"]) {
    for (const path of [
      "/absolute/new",
      "/relative/new",
      "/chain/new",
      "/magic/new",
      "/cwd/new",
      "/d/deep/new",
      "/d/../absolute/new",
    ]) {
      // In the image's own words, of a request, and of one who uses it before any start.
      await daemon.tug([
        "run",
        "--rm",
        "--runtime",
        runtime,
        "-w",
        path,
        "links:image",
        "sh",
        "-c",
        "touch here",
      ]);
      await daemon.tug(["create", "--name", "made", "-w", path, "-v", "data:/data", "links:image"]);
      await daemon.tug(["cp", `made:${path}`, "-"]);
      await daemon.tug(["rm", "-v", "made"]);
      expect([path, readdirSync(host).sort(), readdirSync(join(host, "private"))]).toEqual([
        path,
        ["private", "shared"],
        [],
      ]);
    }
    // The volume is the host's directory, and the link in it is not.
    const bind = ["-v", `${shared}:/s`];
    await daemon.ok(["run", "--rm", ...bind, "busybox", "ln", "-sfn", host, "/s/link"]);
    await daemon.tug([
      "run",
      "--rm",
      "--runtime",
      runtime,
      ...bind,
      "-w",
      "/s/link/new",
      "busybox",
      "touch",
      "here",
    ]);
    expect(readdirSync(host).sort()).toEqual(["private", "shared"]);
    expect(readdirSync(shared)).toEqual(["link"]);
  }
  const { uid, gid, mode, mtimeMs } = statSync(host);
  expect({ uid, gid, mode, mtimeMs }).toEqual({
    uid: before.uid,
    gid: before.gid,
    mode: before.mode,
    mtimeMs: before.mtimeMs,
  });
  expect(statSync(join(host, "private")).mode & 0o777).toBe(0o700);
  // Inside it is what was asked for.
  expect(await daemon.ok(["run", "--rm", "-w", "/absolute/new", "links:image", "pwd", "-P"])).toBe(
    `${host}/new`,
  );
  await daemon.assertClean();
  await daemon.ok(["rmi", "links:image"]);
}, 120_000);
