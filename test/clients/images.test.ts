import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Result, type RunOptions, run, TestDaemon } from "../harness/daemon.ts";
import { digestInRegistry, type PublishedIndex, publishIndex } from "../harness/multi-platform.ts";
import { RealDocker } from "../harness/real-docker.ts";
import { TestRegistry } from "../harness/registry.ts";

/** Image verbs by programs we did not write: docker's client of two ages, skopeo, umoci. */
let daemon: TestDaemon;
let archive: string;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  archive = join(daemon.root, "busybox.tar");
  await daemon.ok(["save", "-o", archive, "busybox"]);
}, 180_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

async function good(command: readonly string[], options: RunOptions = {}): Promise<Result> {
  const result = await run(command, options);
  if (result.code !== 0) throw new Error(`${command.join(" ")}: ${result.code}\n${result.stderr}`);
  return result;
}

const host = process.arch === "arm64" ? "arm64" : "amd64";
const absent = TestRegistry.missing();
if (absent) console.log(`skipped: image verbs with a registry: ${absent}`);

describe.skipIf(absent !== undefined)("with a registry", () => {
  let registry: TestRegistry;
  let published: PublishedIndex;
  const skopeo = (...args: string[]) => good(["skopeo", "--insecure-policy", "copy", ...args]);
  beforeAll(async () => {
    registry = await TestRegistry.start();
    const tar = new Uint8Array(10_240);
    published = await publishIndex(registry.address, "multi", "1", { amd64: tar, arm64: tar });
  });
  afterAll(() => registry.close());

  for (const client of ["/usr/bin/docker", "/usr/local/bin/docker"]) {
    const lacking = !existsSync(client);
    if (lacking) console.log(`skipped: image verbs of the docker CLI at ${client}: it is not installed`);
    describe.skipIf(lacking)(`the docker CLI at ${client}`, () => {
      const docker = (args: string[], options: RunOptions = {}) =>
        run([client, ...args], { ...options, env: { DOCKER_HOST: daemon.host, ...options.env } });
      const ok = async (args: string[], options: RunOptions = {}) => {
        const result = await docker(args, options);
        if (result.code !== 0) throw new Error(`docker ${args.join(" ")}: ${result.code} ${result.stderr}`);
        return result.stdout.trimEnd();
      };

      test("push, pull by tag, digest and all tags", async () => {
        const name = `${registry.address}/cli`;
        await ok(["tag", "busybox", `${name}:1`]);
        await ok(["tag", "busybox", `${name}:2`]);
        const digest = /1: digest: (sha256:[0-9a-f]{64})/.exec(await ok(["push", `${name}:1`]))?.[1];
        await ok(["push", "-a", name]);
        expect(await ok(["inspect", "-f", "{{json .RepoDigests}}", `${name}:1`])).toContain(
          `"${name}@${digest}"`,
        );
        await ok(["rmi", `${name}:1`, `${name}:2`]);
        expect(await ok(["pull", "-a", name])).toContain(`Digest: ${digest}`);
        expect((await ok(["images", "--format", "{{.Tag}}", name])).split("\n").sort()).toEqual(["1", "2"]);
        const digests = await ok(["images", "--digests", "--format", "{{.Digest}}", name]);
        expect(digests).toBe(`${digest}\n${digest}`);
        await ok(["rmi", `${name}:1`, `${name}:2`]);
        expect(await ok(["pull", "-q", `${name}@${digest}`])).toBe(`${name}@${digest}`);
        await ok(["rmi", `${name}@${digest}`]);
      });

      test("a multi-platform image is pulled, moved on and pushed with its digest", async () => {
        const name = `${registry.address}/multi:1`;
        expect(await ok(["pull", name])).toContain(`Digest: ${published.index}`);
        expect(await ok(["inspect", "-f", "{{.Architecture}}", name])).toBe(host);
        await ok(["pull", "--platform", "linux/arm64", name]);
        await ok(["tag", name, `${registry.address}/moved:1`]);
        await ok(["push", `${registry.address}/moved:1`]);
        expect(await digestInRegistry(registry.address, "moved", "1")).toBe(published.index);
        await ok(["rmi", name, `${registry.address}/moved:1`]);
      });

      test("save to a pipe, load from one, import with changes, history and filters", async () => {
        const saved = Bun.spawnSync([client, "save", "busybox"], {
          env: { ...process.env, DOCKER_HOST: daemon.host },
        });
        await ok(["tag", "busybox", "kept:1"]);
        expect(await ok(["load"], { input: saved.stdout })).toContain("Loaded image: busybox:latest");
        const root = join(daemon.root, "import-me");
        mkdirSync(root, { recursive: true });
        writeFileSync(join(root, "file"), "x");
        const tar = Bun.spawnSync(["tar", "-C", root, "-cf", "-", "file"]).stdout;
        await ok(["import", "-c", "LABEL tier=gold", "-c", "CMD sh", "-m", "by hand", "-", "imported:1"], {
          input: tar,
        });
        expect(await ok(["history", "--format", "{{.Comment}}", "imported:1"])).toBe("by hand");
        expect(await ok(["images", "-q", "-f", "label=tier=gold", "--no-trunc"])).toBe(
          await ok(["inspect", "-f", "{{.Id}}", "imported:1"]),
        );
        expect(
          await ok([
            "images",
            "--format",
            "{{.Repository}}",
            "-f",
            "before=imported:1",
            "-f",
            "reference=kept",
          ]),
        ).toBe("kept");
        expect(await ok(["rmi", "kept:1"])).toBe("Untagged: kept:1");
        expect(await ok(["rmi", "imported:1"])).toContain("Deleted: sha256:");
        const gone = await docker(["rmi", "imported:1"]);
        expect({ code: gone.code, words: gone.stderr.trim() }).toEqual({
          code: 1,
          words: expect.stringMatching(
            /^Error(?: response from daemon)?: No such image: imported:1$/,
          ) as never,
        });
      });
    });
  }

  for (const format of ["v2s2", "oci"]) {
    test(`what skopeo pushed as ${format} is pulled, pushed and copied on with one digest`, async () => {
      await registry.push(`docker-archive:${archive}`, `from/${format}:1`, "--format", format);
      const digest = await digestInRegistry(registry.address, `from/${format}`, "1");
      await daemon.ok(["pull", "-q", `${registry.address}/from/${format}:1`]);
      await daemon.ok(["tag", `${registry.address}/from/${format}:1`, `${registry.address}/to/${format}:1`]);
      await daemon.ok(["push", "-q", `${registry.address}/to/${format}:1`]);
      expect(await digestInRegistry(registry.address, `to/${format}`, "1")).toBe(digest);
      const copy = join(daemon.root, `copy-${format}`);
      const from = `docker://${registry.address}/to/${format}:1`;
      await skopeo("--src-tls-verify=false", "--preserve-digests", from, `dir:${copy}`);
      expect(statSync(join(copy, "manifest.json")).size).toBeGreaterThan(100);
      // The same through an archive.
      const tar = join(daemon.root, `${format}.tar`);
      await daemon.ok(["save", "-o", tar, `${registry.address}/to/${format}:1`]);
      await daemon.ok(["rmi", `${registry.address}/to/${format}:1`, `${registry.address}/from/${format}:1`]);
      await daemon.ok(["load", "-i", tar]);
      await daemon.ok(["push", "-q", `${registry.address}/to/${format}:1`]);
      expect(await digestInRegistry(registry.address, `to/${format}`, "1")).toBe(digest);
      await daemon.ok(["rmi", `${registry.address}/to/${format}:1`]);
    });
  }

  test("skopeo reads our archives and directories, and we read what it writes, index and all", async () => {
    const multi = `${registry.address}/multi:1`;
    await daemon.ok(["pull", "-q", "--platform", "linux/amd64", multi]);
    await daemon.ok(["pull", "-q", "--platform", "linux/arm64", multi]);
    const folder = join(daemon.root, "layout");
    await daemon.ok(["save", "--format", "oci-dir", "-o", folder, multi]);
    expect(readdirSync(folder).sort()).toEqual(["blobs", "index.json", "oci-layout"]);
    const tar = join(daemon.root, "multi.tar");
    await daemon.ok(["save", "--format", "oci-archive", "-o", tar, multi]);
    for (const source of [`oci:${folder}:1`, `oci-archive:${tar}:1`]) {
      const to = `docker://${registry.address}/by-skopeo:1`;
      // The attestation is listed too, so the whole index is copied.
      await skopeo("--all", "--preserve-digests", "--dest-tls-verify=false", source, to);
      expect(await digestInRegistry(registry.address, "by-skopeo", "1")).toBe(published.index);
    }
    await daemon.ok(["rmi", multi]);
    const written = join(daemon.root, "skopeo-layout");
    const from = `docker://${multi}`;
    await skopeo(
      "--all",
      "--preserve-digests",
      "--src-tls-verify=false",
      from,
      `oci:${written}:reg.test/back:1`,
    );
    expect(await daemon.ok(["load", "-i", written])).toBe("Loaded image: reg.test/back:1");
    expect(await daemon.ok(["inspect", "-f", "{{.Descriptor.digest}}", "reg.test/back:1"])).toBe(
      published.index,
    );
    await daemon.ok(["rmi", "reg.test/back:1"]);
    await skopeo(`docker-archive:${archive}`, `oci-archive:${join(daemon.root, "s.tar")}:reg.test/single:1`);
    const packed = Bun.spawnSync(["xz", "-0c", join(daemon.root, "s.tar")]).stdout;
    expect(await daemon.ok(["load"], { input: packed })).toBe("Loaded image: reg.test/single:1");
    expect(await daemon.ok(["run", "--rm", "reg.test/single:1", "echo", "runs"])).toBe("runs");
    await daemon.ok(["rmi", "reg.test/single:1"]);
  });
});

const noDocker = RealDocker.missing();
if (noDocker) console.log(`skipped: archives to and from the real dockerd: ${noDocker}`);
test.skipIf(noDocker !== undefined)(
  "the real dockerd loads what we save, and we load what it saves",
  async () => {
    await using docker = await opened();
    const ours = join(daemon.root, "ours.tar");
    await daemon.ok(["tag", "busybox", "goes/there:1"]);
    await daemon.ok(["save", "-o", ours, "goes/there:1", "busybox"]);
    await docker.engine.docker(["rmi", "busybox"]);
    const loaded = await docker.engine.ok(["load", "-i", ours]);
    expect(loaded.split("\n").sort()).toEqual(["Loaded image: busybox:latest", "Loaded image: goes/there:1"]);
    const id = await docker.engine.ok(["inspect", "-f", "{{.Id}}", "goes/there:1"]);
    expect(await daemon.ok(["inspect", "-f", "{{.Id}}", "goes/there:1"])).toBe(id);
    await docker.engine.ok(["tag", "goes/there:1", "comes/back:1"]);
    const theirs = join(daemon.root, "theirs.tar");
    await docker.engine.ok(["save", "-o", theirs, "comes/back"]);
    expect(await daemon.ok(["load", "-i", theirs])).toBe("Loaded image: comes/back:1");
    expect(await daemon.ok(["inspect", "-f", "{{.Id}}", "comes/back:1"])).toBe(id);
    expect(await daemon.ok(["run", "--rm", "comes/back:1", "echo", "back"])).toBe("back");
    await docker.engine.ok(["rmi", "goes/there:1", "comes/back:1"]);
    await daemon.ok(["rmi", "goes/there:1", "comes/back:1"]);
  },
  180_000,
);

async function opened(): Promise<{ readonly engine: RealDocker } & AsyncDisposable> {
  const engine = await RealDocker.start();
  return { engine, [Symbol.asyncDispose]: () => engine.close() };
}

const umoci = existsSync("/usr/bin/umoci");
if (!umoci) console.log("skipped: umoci reading our layouts: umoci is not installed (Debian package umoci)");
test.skipIf(!umoci)("umoci unpacks an OCI layout that save wrote", async () => {
  const folder = join(daemon.root, "for-umoci");
  await daemon.ok(["tag", "busybox", "umoci:v1"]);
  await daemon.ok(["save", "--format", "oci-dir", "-o", folder, "umoci:v1"]);
  expect((await good(["umoci", "ls", "--layout", folder])).stdout).toBe("v1\n");
  const bundle = join(daemon.root, "bundle");
  await good(["umoci", "unpack", "--image", `${folder}:v1`, bundle]);
  expect(JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")).process.args).toEqual(["sh"]);
  expect(statSync(join(bundle, "rootfs/bin/busybox")).mode & 0o777).toBe(0o755);
  const again = await daemon.tug(["save", "--format", "oci-dir", "-o", folder, "umoci:v1"]);
  expect(again.stderr).toContain("is not empty");
  await daemon.ok(["rmi", "umoci:v1"]);
});
