import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Builds } from "../harness/builds.ts";
import { run, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { TestRegistry } from "../harness/registry.ts";
import { Terminal } from "../harness/terminal.ts";

/** What each attribute of an output means, several outputs at once, and outputs that cannot be written. */
let daemon: TestDaemon;
let builds: Builds;
let context: string;
/** Of one test. */
let folder: string;
let count = 0;
const options = { timeout: 60_000 };
beforeAll(async () => {
  daemon = await TestDaemon.start();
  builds = new Builds(daemon);
  context = builds.context({ Dockerfile: "FROM busybox\nRUN echo x >/x\nCOPY file /f\n", file: "content" });
  // What comes from it is known from here on.
  await daemon.ok(["build", "-q", context], options);
}, 120_000);
afterAll(async () => {
  builds[Symbol.dispose]();
  await daemon.stopAndClose();
});
beforeEach(() => {
  folder = join(builds.root, `out-${count++}`);
  mkdirSync(folder);
});

const build = (...args: string[]) => daemon.tug(["build", "-q", ...args, context], options);
/** What the exporter told. */
async function told(output: string, ...args: string[]): Promise<Readonly<Record<string, string>>> {
  const meta = join(folder, "meta");
  const result = await build("--metadata-file", meta, "-o", output, ...args);
  expect(result).toMatchObject({ code: 0 });
  return JSON.parse(readFileSync(meta, "utf8")) as Readonly<Record<string, string>>;
}
const digestOf = (response: Readonly<Record<string, string>>) => response["containerimage.digest"] ?? "";
const scratch = (dockerfile = "FROM scratch\nCOPY file /f\n", files = {}) =>
  builds.context({ Dockerfile: dockerfile, file: "content", ...files });

interface Document {
  readonly mediaType: string;
  readonly digest: string;
  readonly layers: readonly Document[];
  readonly config: Document;
  readonly manifests: readonly Document[];
  readonly annotations?: Readonly<Record<string, string>>;
}

describe("an image", () => {
  const missing = TestRegistry.missing();
  if (missing !== undefined) console.log(`skipped: ${missing}`);
  let registry: TestRegistry | undefined;
  beforeAll(async () => {
    if (missing === undefined) registry = await TestRegistry.start();
  }, 120_000);
  afterAll(async () => await registry?.close());
  const testPushed = test.skipIf(missing !== undefined);
  const name = (path: string) => `${registry?.address}/${path}`;
  const manifest = async (path: string) => {
    const [repository, reference] = path.includes("@") ? path.split("@") : path.split(":");
    const answer = await fetch(`http://${registry?.address}/v2/${repository}/manifests/${reference}`, {
      headers: {
        accept:
          "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json",
      },
    });
    return { status: answer.status, document: (await answer.json()) as Document };
  };
  const images = () =>
    daemon.ok(["images", "--no-trunc", "--digests", "--format", "{{.Repository}}:{{.Tag}}@{{.Digest}}"]);

  testPushed("is pushed by its digest alone, and is not named here either", async () => {
    const digest = digestOf(await told(`type=image,name=${name("d")},push-by-digest=true,push=true`));
    expect((await manifest(`d@${digest}`)).status).toBe(200);
    expect((await manifest("d:latest")).status).toBe(404);
    expect(await images()).not.toContain("/d:");
  });

  testPushed("gets a name with its digest, and one without a name, where that is asked for", async () => {
    const canonical = await told(`type=image,name=${name("c:1")},name-canonical=true`);
    const digest = digestOf(canonical);
    expect(canonical["image.name"]).toBe(`${name("c:1")},${name("c")}@${digest}`);
    expect(await daemon.ok(["image", "inspect", "-f", "{{.Id}}", `${name("c")}@${digest}`])).toMatch(
      /^sha256:/,
    );
    const dangling = await told("type=image,dangling-name-prefix=my/dangling");
    expect(dangling["image.name"]).toBe(`my/dangling@${digestOf(dangling)}`);
    const both = await told("type=image,dangling-name-prefix=my/other", "-t", "beside:1");
    expect(both["image.name"]).toBe(`docker.io/library/beside:1,my/other@${digestOf(both)}`);
    const only = "type=image,dangling-name-prefix=my/third,danging-name-empty-only=true";
    expect((await told(only, "-t", "beside:2"))["image.name"]).toBe("docker.io/library/beside:2");
    const listed = await images();
    for (const one of ["my/dangling:<none>", "my/other:<none>", "beside:1", "beside:2"])
      expect(listed).toContain(one);
    expect(listed).not.toContain("my/third");
  });

  testPushed("that is not to be stored is only sent, over a connection as insecure as allowed", async () => {
    const before = await images();
    // Loopback by a name that is not known to be.
    const insecure = name("s:1").replace("127.0.0.1", "0.0.0.0");
    const refused = await build("-o", `type=image,name=${insecure},push=true,store=false`);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("server gave HTTP response to HTTPS client");
    await told(`type=image,name=${insecure},push=true,store=false,registry.insecure=true`);
    expect((await manifest("s:1")).status).toBe(200);
    expect(await images()).toBe(before);
    await told("type=image,name=unpacked:1,unpack=true");
    expect(await daemon.ok(["run", "--rm", "unpacked:1", "cat", "/f"])).toBe("content");
  });

  testPushed(
    "has layers compressed as asked, the base's only by force, and documents of either kind",
    async () => {
      const kinds: Record<string, readonly string[]> = {};
      for (const attributes of [
        "compression=zstd,compression-level=19",
        "compression=gzip,compression-level=9",
        "compression=uncompressed",
        "compression=zstd,force-compression=true",
        "oci-mediatypes=false",
      ]) {
        await told(`type=image,name=${name("z:1")},push=true,${attributes}`);
        const { layers } = (await manifest("z:1")).document;
        kinds[attributes] = layers.map(({ mediaType }) => mediaType.replace(/^.*\.tar/, "tar"));
      }
      const own = (kind: string) => ["tar", kind, kind];
      expect(kinds).toEqual({
        "compression=zstd,compression-level=19": own("tar+zstd"),
        "compression=gzip,compression-level=9": own("tar+gzip"),
        "compression=uncompressed": own("tar"),
        "compression=zstd,force-compression=true": ["tar+zstd", "tar+zstd", "tar+zstd"],
        "oci-mediatypes=false": own("tar.gzip"),
      });
      const { document } = await manifest("z:1");
      expect([document.mediaType, document.config.mediaType]).toEqual([
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.container.image.v1+json",
      ]);
      for (const wrong of ["compression=lz4", "compression=gzip,compression-level=12", "push=maybe"])
        expect((await build("-o", `type=image,name=x,${wrong}`)).stderr).toMatch(/compression|non-bool/);
    },
  );

  testPushed("is annotated where the attributes say", async () => {
    const where = {
      "": "m",
      "-index": "i",
      "-manifest-descriptor": "md",
      "[linux/amd64]": "p",
      "[linux/s390x]": "no",
    };
    const annotations = Object.entries(where).map(([place, key]) => `annotation${place}.${key}=1`);
    const platforms = ["--platform", "linux/amd64,linux/arm64"];
    const meta = join(folder, "meta");
    const output = [
      "-o",
      `type=image,name=${name("an:1")},push=true,annotation-index-descriptor.id=1,${annotations}`,
    ];
    await daemon.ok(["build", "-q", "--metadata-file", meta, ...platforms, ...output, scratch()], options);
    const descriptor = JSON.parse(readFileSync(meta, "utf8"))["containerimage.descriptor"] as Document;
    expect(descriptor.annotations).toEqual({ id: "1" });
    const { document: index } = await manifest("an:1");
    expect(index.annotations).toEqual({ i: "1" });
    expect(index.manifests.map((one) => one.annotations)).toEqual([{ md: "1" }, { md: "1" }]);
    const own = await Promise.all(index.manifests.map(({ digest }) => manifest(`an@${digest}`)));
    expect(own.map(({ document }) => document.annotations)).toEqual([{ m: "1", p: "1" }, { m: "1" }]);
  });
});

describe("outputs", () => {
  test("may be many of one build: the image, archives, a layout and the files", async () => {
    const at = (path: string) => join(folder, path);
    const outputs = [
      "type=image",
      `type=tar,dest=${at("a.tar")}`,
      `type=tar,dest=${at("b.tar")}`,
      `type=oci,dest=${at("oci.tar")}`,
      `type=docker,dest=${at("docker.tar")}`,
      `type=oci,tar=false,dest=${at("layout")}`,
      `type=docker,tar=false,dest=${at("docker")}`,
      at("files"),
    ];
    await daemon.ok(
      ["build", "-q", "-t", "many:1", ...outputs.flatMap((one) => ["-o", one]), scratch()],
      options,
    );
    expect(readFileSync(at("a.tar")).equals(readFileSync(at("b.tar")))).toBe(true);
    expect(readFileSync(at("files/f"), "utf8")).toBe("content");
    const id = await daemon.ok(["image", "inspect", "-f", "{{.Id}}", "many:1"]);
    for (const layout of ["layout", "docker"]) {
      expect(readdirSync(at(layout)).sort()).toEqual(["blobs", "index.json", "oci-layout"]);
      expect(readdirSync(at(`${layout}/blobs/sha256`))).toContain(id.slice("sha256:".length));
      const modes = await run(["find", at(layout), "-type", "f", "-not", "-perm", "644"]);
      expect(modes.stdout).toBe("");
    }
    for (const archive of ["oci.tar", "docker.tar"]) {
      await daemon.ok(["rmi", "many:1"]);
      await daemon.ok(["load", "-q", "-i", at(archive)]);
      expect(await daemon.ok(["image", "inspect", "-f", "{{.Id}}", "many:1"])).toBe(id);
    }
    const twice = await build("-o", "-", "-o", "type=oci,dest=-");
    expect(twice.stderr).toContain("multiple outputs configured to write to stdout");
  });

  test("carry any name, of several platforms apart or together", async () => {
    const make = [
      "mkdir -p /o/dir && cd /o && ln -s /etc abs && ln -s ../../.. up && ln -s nowhere dangling",
      `touch -- "$(printf 'new\\nline')" "$(printf 'tab\\tx')" 'back\\\\slash' ünï -rf`,
      "chmod 4755 -- -rf && ln -- -rf hard && touch -d @86400 dir/old",
    ].join(" && ");
    const hostile = scratch(
      `FROM --platform=$BUILDPLATFORM busybox AS b\nRUN ${make}\nFROM scratch\nCOPY --from=b /o /\n`,
    );
    const platforms = ["--platform", "linux/amd64,linux/arm64/v8"];
    const tar = join(folder, "o.tar");
    await daemon.ok(
      ["build", "-q", ...platforms, "-o", join(folder, "o"), "-o", `type=tar,dest=${tar}`, hostile],
      options,
    );
    mkdirSync(join(folder, "tar"));
    await run(["tar", "-xpf", tar, "-C", join(folder, "tar")]);
    // Type, mode, links, size, name, target; directories' sizes are the file system's.
    const listed = async (root: string) =>
      (await run(["find", root, "-mindepth", "1", "-printf", "%y %m %n %P -> %l\\0"])).stdout
        .split("\0")
        .sort();
    const files = await listed(join(folder, "o"));
    expect(files).toEqual(await listed(join(folder, "tar")));
    for (const one of [
      "f 4755 2 linux_arm64/-rf -> ",
      "l 777 1 linux_amd64/up -> ../../..",
      "f 644 1 linux_amd64/new\nline -> ",
    ])
      expect(files).toContain(one);
    expect(Math.trunc(lstatSync(join(folder, "o/linux_arm64/dir/old")).mtimeMs)).toBe(86_400_000);
    await daemon.ok(
      ["build", "-q", ...platforms, "-o", `type=local,platform-split=false,dest=${folder}/one`, scratch()],
      options,
    );
    expect(readdirSync(join(folder, "one"))).toEqual(["f"]);
  }, 120_000);

  test("go nowhere through links that lie where they are to go", async () => {
    const [into, outside] = [join(folder, "into"), join(folder, "outside")];
    for (const path of [into, outside]) mkdirSync(path);
    symlinkSync(outside, join(into, "d"));
    symlinkSync(join(outside, "target"), join(into, "f"));
    await daemon.ok(
      ["build", "-q", "-o", into, scratch("FROM scratch\nCOPY file /f\nCOPY file /d/f\n")],
      options,
    );
    expect(readdirSync(outside)).toEqual([]);
    expect(lstatSync(join(into, "f")).isFile()).toBe(true);
  });

  test("have pipes in a directory, but no devices", async () => {
    const made = (command: string) =>
      scratch(`FROM busybox AS b\nRUN mkdir /o && cd /o && ${command}\nFROM scratch\nCOPY --from=b /o /\n`);
    const args = ["build", "-q", "-o", folder];
    mkdirSync(join(folder, "queue"));
    await daemon.ok([...args, made("mkfifo -m 620 queue && mkfifo ./-m && touch -d @86400 queue")], options);
    expect(readdirSync(folder).sort()).toEqual(["-m", "queue"]);
    const queue = lstatSync(join(folder, "queue"));
    expect([queue.isFIFO(), queue.mode & 0o7777, queue.mtimeMs]).toEqual([true, 0o620, 86_400_000]);
    const refused = await daemon.tug([...args, made("mknod zero c 1 5")], options);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("zero is a device, which a local output cannot have");
    expect(readdirSync(folder).sort()).toEqual(["-m", "queue"]);
  });

  test("are not poured onto a terminal", async () => {
    const env = { DOCKER_HOST: daemon.host };
    const terminal = await Terminal.open([tugBinary, "build", "-o", "-", context], env);
    try {
      await terminal.until("refusing to write to console");
      expect(await terminal.exited).not.toBe(0);
    } finally {
      terminal.close();
    }
  });
});

describe("an output that cannot be written", () => {
  test("says which file and why, and leaves nothing", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "mine");
    const cases: readonly (readonly [string, string])[] = [
      [file, `destination directory ${file} is a file`],
      [`type=tar,dest=${folder}`, `destination file ${folder} is a directory`],
      [`type=tar,dest=${folder}/none/x`, `open ${folder}/none/x: no such file or directory`],
      [`type=oci,dest=${file}/x`, `${file}/x: not a directory`],
      [`${file}/x`, `${file}/x: not a directory`],
      ["type=nonsense", 'exporter "nonsense" could not be found'],
    ];
    for (const [output, message] of cases) {
      const result = await build("-o", output);
      expect(result.code).not.toBe(0);
      expect(result.stderr).toContain(message);
    }
    expect(readdirSync(folder)).toEqual(["file"]);
    expect(readFileSync(file, "utf8")).toBe("mine");
  });

  test("for want of space says so: no archive and no half file stays, what was there does", async () => {
    const big = scratch("FROM scratch\nCOPY file /a\nCOPY big /b\n", { big: "x".repeat(3_000_000) });
    const mounted = await run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", folder]);
    expect(mounted).toMatchObject({ code: 0 });
    try {
      const plain = "compression=uncompressed";
      mkdirSync(join(folder, "d"));
      for (const path of ["x.tar", "d/b"]) writeFileSync(join(folder, path), "mine");
      for (const output of [
        `type=tar,dest=${folder}/x.tar`,
        `type=oci,${plain},dest=${folder}/x.tar`,
        `type=docker,${plain},dest=${folder}/x.tar`,
        `type=local,dest=${folder}/d`,
        `type=oci,tar=false,${plain},dest=${folder}/layout`,
      ]) {
        const result = await daemon.tug(["build", "-q", "-t", "full:1", "-o", output, big], options);
        expect(result.code).toBe(1);
        expect(result.stderr).toContain("no space left on device");
        expect(result.stderr).toContain(`write ${folder}`);
      }
      for (const path of ["x.tar", "d/b"]) expect(readFileSync(join(folder, path), "utf8")).toBe("mine");
      const left = readdirSync(folder, { recursive: true, withFileTypes: true });
      const whole = left.filter(
        (entry) => entry.isFile() && lstatSync(join(entry.parentPath, entry.name)).size > 10_000,
      );
      expect(whole.map((entry) => entry.name)).toEqual([]);
      expect(left.filter(({ name }) => name.endsWith(".part"))).toEqual([]);
      expect(existsSync(join(folder, "layout/index.json"))).toBe(false);
    } finally {
      await run(["umount", folder]);
    }
    expect(await daemon.ok(["images", "-q", "full:1"])).toBe("");
  }, 120_000);
});
