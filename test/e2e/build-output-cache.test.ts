import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestDaemon } from "../harness/daemon.ts";
import { TestRegistry } from "../harness/registry.ts";

/** Caches that two daemons share by way of a registry. */

const missing = TestRegistry.missing();
if (missing !== undefined) console.log(`skipped: ${missing}`);

describe.skipIf(missing !== undefined)("caches of builds elsewhere", () => {
  let registry: TestRegistry;
  let first: TestDaemon;
  let second: TestDaemon;
  let folder: string;
  let context: string;

  beforeAll(async () => {
    registry = await TestRegistry.start();
    [first, second] = await Promise.all([TestDaemon.start(), TestDaemon.start({ busybox: false })]);
    const tar = mkdtempSync(join(tmpdir(), "tug-build-cache-"));
    // The base is the same for both, not only alike.
    await first.ok(["save", "busybox", "-o", join(tar, "base.tar")]);
    await second.ok(["load", "-i", join(tar, "base.tar")]);
    rmSync(tar, { recursive: true });
  }, 120_000);
  afterAll(async () => {
    for (const daemon of [first, second]) await daemon.stopAndClose();
    await registry.close();
  }, 120_000);
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tug-build-cache-"));
    context = join(folder, "context");
    mkdirSync(context);
    writeFileSync(join(context, "file"), "content");
  });
  afterEach(async () => {
    rmSync(folder, { recursive: true, force: true });
    for (const daemon of [first, second]) {
      const tagged = await daemon.ok(["images", "-q", "cached"]);
      if (tagged !== "") await daemon.ok(["rmi", "-f", ...new Set(tagged.split("\n"))]);
      await daemon.ok(["builder", "prune", "-af"]);
    }
  });

  const dockerfile = (mark: string) =>
    `FROM busybox AS made\nRUN echo ${mark} >/made && cat /proc/sys/kernel/random/uuid >/when\nFROM busybox\nCOPY file /file\nCOPY --from=made /made /when /\nRUN cat /made >/copy\n`;
  const build = async (daemon: TestDaemon, text: string, ...flags: string[]) => {
    writeFileSync(join(context, "Dockerfile"), text);
    const args = ["build", "--progress", "plain", "-t", "cached:1", ...flags, context];
    const result = await daemon.tug(args, { timeout: 60_000 });
    if (result.code !== 0) throw new Error(result.stderr);
    return result.stderr;
  };
  const cached = (log: string) => (log.match(/^#\d+ CACHED$/gm) ?? []).length;
  const content = (daemon: TestDaemon, ...command: string[]) =>
    daemon.ok(["run", "--rm", "cached:1", ...command]);

  test("what one has built the other finds, every step, and to the last byte", async () => {
    const ref = `type=registry,ref=${registry.address}/cache/all:1`;
    await build(first, dockerfile("all"), "--cache-to", `${ref},mode=max`);
    const log = await build(second, dockerfile("all"), "--cache-from", ref);
    expect(log).not.toContain("ERROR");
    expect(cached(log)).toBeGreaterThanOrEqual(4);
    // Had it run again, it would have another one.
    expect(await content(second, "cat", "/when")).toBe(await content(first, "cat", "/when"));
    expect(await content(second, "cat", "/copy", "/file")).toBe("all\ncontent");
  }, 120_000);

  test("it is asked for nothing unless somebody names it", async () => {
    const ref = `type=registry,ref=${registry.address}/cache/unasked:1`;
    await build(first, dockerfile("unasked"), "--cache-to", `${ref},mode=max`);
    await build(second, dockerfile("unasked"));
    expect(await content(second, "cat", "/when")).not.toBe(await content(first, "cat", "/when"));
  }, 120_000);

  test("an image has its own steps in itself when that is asked for", async () => {
    const name = `${registry.address}/cache/inline:1`;
    writeFileSync(join(context, "Dockerfile"), dockerfile("inline"));
    await first.ok(["build", "-q", "-t", name, "--push", "--cache-to", "type=inline", context]);
    const log = await build(second, dockerfile("inline"), "--cache-from", name);
    expect(cached(log)).toBeGreaterThanOrEqual(3);
    expect(await content(second, "cat", "/when")).toBe(await first.ok(["run", "--rm", name, "cat", "/when"]));
    await first.ok(["rmi", name]);
  }, 120_000);

  test("an image that is here is looked at before its registry, and goes on to another cache", async () => {
    writeFileSync(join(context, "Dockerfile"), dockerfile("kept"));
    await first.ok(["build", "-q", "-t", "kept:1", "--cache-to", "type=inline", context]);
    await first.ok(["save", "-o", join(folder, "kept.tar"), "kept:1"]);
    await second.ok(["load", "-i", join(folder, "kept.tar")]);
    const onward = `type=registry,ref=${registry.address}/cache/kept:1`;
    const log = await build(second, dockerfile("kept"), "--cache-from", "kept:1", "--cache-to", onward);
    expect(log).not.toContain("ERROR");
    const when = await first.ok(["run", "--rm", "kept:1", "cat", "/when"]);
    expect(await content(second, "cat", "/when")).toBe(when);
    await first.ok(["rmi", "-f", "kept:1"]);
    await first.ok(["builder", "prune", "-af"]);
    await build(first, dockerfile("kept"), "--cache-from", onward);
    expect(await content(first, "cat", "/when")).toBe(when);
    await second.ok(["rmi", "-f", "kept:1"]);
  }, 120_000);

  test("what came from a cache goes on to another without having been used", async () => {
    const [one, two] = ["one", "two"].map((tag) => `type=registry,ref=${registry.address}/cache/hop:${tag}`);
    await build(first, dockerfile("hop"), "--cache-to", `${one},mode=max`);
    const flags = ["--cache-from", one ?? "", "--cache-to", `${two},mode=max`, "-o", "type=cacheonly"];
    await build(second, dockerfile("hop"), ...flags);
    await second.ok(["builder", "prune", "-af"]);
    await build(second, dockerfile("hop"), "--cache-from", two ?? "");
    expect(await content(second, "cat", "/when")).toBe(await content(first, "cat", "/when"));
  }, 120_000);

  test("a directory of the client's keeps a cache, under tags, for whoever has it", async () => {
    const directory = join(folder, "cache");
    const nothing = await build(first, dockerfile("none yet"), "--cache-from", `type=local,src=${directory}`);
    expect(nothing).toContain(`importing cache manifest from ${directory}`);
    for (const tag of ["one", "two"])
      await build(first, dockerfile(tag), "--cache-to", `type=local,dest=${directory},tag=${tag},mode=max`);
    const log = await build(second, dockerfile("two"), "--cache-from", `type=local,src=${directory},tag=two`);
    expect(cached(log)).toBeGreaterThanOrEqual(4);
    expect(await content(second, "cat", "/when")).toBe(await content(first, "cat", "/when"));
  }, 120_000);

  test("cache mounts go along when they are asked for", async () => {
    const text = (mark: string) =>
      `FROM busybox\nRUN --mount=type=cache,id=shared,target=/c echo ${mark} >>/c/seen && cat /c/seen >/seen\n`;
    const ref = `type=registry,ref=${registry.address}/cache/mounts:1,mounts=true`;
    await build(first, text("a"), "--cache-to", ref);
    await build(second, text("b"), "--cache-from", ref);
    expect(await content(second, "cat", "/seen")).toBe("a\nb");
  }, 120_000);

  test("a cache that is not there is told, and the build goes on", async () => {
    const ref = `type=registry,ref=${registry.address}/cache/none:1`;
    const log = await build(second, dockerfile("none"), "--cache-from", ref);
    expect(log).toContain(`importing cache manifest from ${registry.address}/cache/none:1`);
    expect(log).toContain("ERROR");
    expect(await content(second, "cat", "/made")).toBe("none");
  }, 120_000);

  test("kinds of caches that this builder does not have are refused by name", async () => {
    writeFileSync(join(context, "Dockerfile"), dockerfile("refused"));
    for (const type of ["gha", "s3", "azblob"]) {
      const result = await first.tug(["build", "--cache-to", `type=${type}`, context]);
      expect(result.code).toBe(1);
      expect(result.stderr).toContain(`unknown cache type "${type}"`);
    }
  });
});
