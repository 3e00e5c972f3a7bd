import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { GitServer } from "../../src/build/run/testdata/git-server.ts";
import { Builds } from "../harness/builds.ts";
import { eventually, run, TestDaemon } from "../harness/daemon.ts";
import { writeOciLayout } from "../harness/oci-layout.ts";

/** Where the files of a build come from: directories, archives on standard input, repositories, files of the network, images, OCI layouts. */
let daemon: TestDaemon;
let builds: Builds;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  builds = new Builds(daemon);
}, 120_000);
afterAll(async () => {
  builds[Symbol.dispose]();
  await daemon.close();
});

const quiet = async (args: readonly string[], input?: Uint8Array | string) =>
  await daemon.ok(["build", "-q", ...args], { timeout: 60_000, ...(input !== undefined && { input }) });
const shown = async (image: string, ...command: string[]) =>
  await daemon.ok(["run", "--rm", image, ...command]);

test("a directory is what it is now, however little of it differs from what was sent before", async () => {
  const context = builds.context({ "src/a": "one!", "src/b": "two!", "src/deep/c": "three" });
  writeFileSync(join(context, "Dockerfile"), "FROM scratch\nCOPY src /\n");
  const touched = (name: string, time: string) =>
    expect(Bun.spawnSync(["touch", "-h", "-d", time, join(context, "src", name)]).exitCode).toBe(0);
  const out = join(builds.root, "as-it-is");
  /** Names, types, contents and link targets of what the build copied. */
  const built = async () => {
    rmSync(out, { recursive: true, force: true });
    await quiet(["--output", out, context]);
    const listing = await run(["find", ".", "-mindepth", "1", "-printf", "%P %y %l\n"], { cwd: out });
    const texts = await run(["sh", "-c", "find . -type f | sort | xargs head -c 99"], { cwd: out });
    return `${listing.stdout.split("\n").sort().join("\n")}\n${texts.stdout}`;
  };
  const source = async () => {
    const cwd = join(context, "src");
    const listing = await run(["find", ".", "-mindepth", "1", "-printf", "%P %y %l\n"], { cwd });
    const texts = await run(["sh", "-c", "find . -type f | sort | xargs head -c 99"], { cwd });
    return `${listing.stdout.split("\n").sort().join("\n")}\n${texts.stdout}`;
  };
  touched("a", "2024-05-06 07:08:09.000000001 UTC");
  touched("b", "2024-05-06 07:08:09.000000001 UTC");
  const src = (name: string) => join(context, "src", name);
  const changes: readonly (() => unknown)[] = [
    () => undefined,
    () => undefined,
    // As many bytes, and a nanosecond later.
    () => {
      writeFileSync(src("b"), "TWO!");
      touched("b", "2024-05-06 07:08:09.000000002 UTC");
    },
    () => linkSync(src("a"), src("deep/z")),
    () => symlinkSync("a", src("aa")),
    () => {
      rmSync(src("aa"));
      symlinkSync("b", src("aa"));
    },
    () => renameSync(src("deep/c"), src("deep/d")),
    () => rmSync(src("deep"), { recursive: true }),
    () => writeFileSync(src("deep"), "a file by now"),
    () => daemon.restart(),
    () => rmSync(src("a")),
  ];
  for (const change of changes) {
    await change();
    expect(await built()).toBe(await source());
  }
}, 120_000);

describe("a named context", () => {
  test("is a directory, an image, a repository or an archive of the network", async () => {
    const named = builds.context({ told: "by a directory" });
    await using git = new GitServer();
    const repository = git.repository("one");
    writeFileSync(join(repository.path, "told"), "by a repository");
    repository.git("add", ".");
    repository.git("commit", "--quiet", "-m", "first");
    const tar = Bun.spawnSync(["tar", "-C", builds.context({ told: "by an archive" }), "-cz", "told"]).stdout;
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response(new Uint8Array(tar)),
    });
    try {
      await quiet([
        "-t",
        "teller",
        builds.context({ Dockerfile: "FROM busybox\nRUN printf 'by an image' >/told" }),
      ]);
      const dockerfile = "FROM busybox\nCOPY --from=src told /told\n";
      const context = builds.context({ Dockerfile: dockerfile });
      const sources = {
        "by a directory": named,
        "by an image": "docker-image://teller",
        "by a repository": `${repository.url}#main`,
      };
      for (const [told, source] of Object.entries(sources)) {
        await quiet(["-t", "copied", "--build-context", `src=${source}`, context]);
        expect(await shown("copied", "cat", "/told")).toBe(told);
      }
      // A file of the network is that file, as for BuildKit.
      const fetched = builds.context({ Dockerfile: "FROM busybox\nCOPY --from=src context.tar.gz /\n" });
      await quiet(["-t", "fetched", "--build-context", `src=${server.url.origin}/context.tar.gz`, fetched]);
      expect(await shown("fetched", "tar", "-xzOf", "/context.tar.gz", "told")).toBe("by an archive");
      // In the place of an image it is what the stage begins from.
      const from = builds.context({ Dockerfile: "FROM alpine:3\nRUN cp /told /copy\n" });
      await quiet(["-t", "replaced", "--build-context", "alpine:3=docker-image://teller", from]);
      expect(await shown("replaced", "cat", "/copy")).toBe("by an image");
    } finally {
      await server.stop(true);
    }
  }, 120_000);

  test("is an OCI layout of the client's, by tag or digest, and nothing of it is believed unseen", async () => {
    const layout = join(builds.root, "layout");
    const root = join(builds.root, "root");
    mkdirSync(root);
    writeFileSync(join(root, "told"), "by a layout");
    const tar = join(builds.root, "layer.tar");
    expect((await run(["tar", "-C", root, "-cf", tar, "."])).code).toBe(0);
    await writeOciLayout(layout, "v1", tar, { Env: ["FROM_LAYOUT=yes"] });
    const context = builds.context({
      Dockerfile:
        'FROM busybox\nCOPY --from=base told /told\nFROM base AS on\nCOPY --from=0 /bin /bin\nRUN ["/bin/sh", "-c", "echo $FROM_LAYOUT >/env"]\n',
    });
    for (const reference of [`${layout}:v1`, layout]) {
      await quiet(["-t", "on", "--build-context", `base=oci-layout://${reference}`, context]);
      expect(await shown("on", "cat", "/told", "/env")).toBe("by a layoutyes");
    }
    const parents = await daemon.ok(["image", "inspect", "-f", "{{len .RootFS.Layers}}", "on"]);
    expect(parents).toBe("3");
    const wrong = await daemon.tug(["build", "--build-context", `base=oci-layout://${layout}:v2`, context]);
    expect(wrong).toMatchObject({ code: 1 });
    expect(wrong.stderr).toContain("has no image of the tag v2");
    // Somebody changed a blob: another daemon, which has not seen it, refuses it.
    await daemon.ok(["rmi", "on"]);
    await daemon.ok(["builder", "prune", "-a", "-f"]);
    for (const name of readdirSync(join(layout, "blobs/sha256"))) {
      const path = join(layout, "blobs/sha256", name);
      const bytes = Buffer.from(await Bun.file(path).arrayBuffer());
      if (bytes[0] !== 0x1f) continue;
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      writeFileSync(path, bytes);
    }
    const broken = await daemon.tug(["build", "--build-context", `base=oci-layout://${layout}`, context]);
    expect(broken.code).toBe(1);
    expect(broken.stderr).toMatch(/digest|verification/);
    rmSync(layout, { recursive: true });
    await eventually("nothing of it is left", async () => (await daemon.tug(["system", "check"])).code === 0);
  }, 120_000);
});

const docker = "/usr/bin/docker";
const missing = existsSync(docker) ? undefined : "the docker CLI is not installed (Debian package docker.io)";
if (missing) console.log(`skipped: standard input of the docker CLI's builds: ${missing}`);

describe.skipIf(missing !== undefined)("standard input of the docker CLI's build", () => {
  for (const kit of ["1", "0"]) {
    const build = async (args: readonly string[], input: Uint8Array | string) => {
      const env = { DOCKER_HOST: daemon.host, DOCKER_BUILDKIT: kit };
      const { code, stdout, stderr } = await run([docker, "build", ...args], { env, input, timeout: 60_000 });
      expect({ code, said: code === 0 ? "" : stdout + stderr }).toEqual({ code: 0, said: "" });
    };
    test(`is an archive, a Dockerfile, or a Dockerfile beside a directory (DOCKER_BUILDKIT=${kit})`, async () => {
      const context = builds.context({ Dockerfile: "FROM busybox\nCOPY told /told\n", told: `typed ${kit}` });
      const tar = Bun.spawnSync(["tar", "-C", context, "-c", "Dockerfile", "told"]).stdout;
      for (const [name, bytes] of Object.entries({ tar, gzip: Bun.gzipSync(new Uint8Array(tar)) })) {
        await build(["-t", `${name}:${kit}`, "-"], new Uint8Array(bytes));
        expect(await shown(`${name}:${kit}`, "cat", "/told")).toBe(`typed ${kit}`);
      }
      await build(["-t", `text:${kit}`, "-"], `FROM busybox\nRUN echo ${kit} >/alone\n`);
      expect(await shown(`text:${kit}`, "cat", "/alone")).toBe(kit);
      await build(["-t", `beside:${kit}`, "-f", "-", context], "FROM busybox\nCOPY told /other\n");
      expect(await shown(`beside:${kit}`, "cat", "/other")).toBe(`typed ${kit}`);
    }, 120_000);
  }
});
