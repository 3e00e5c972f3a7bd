import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run, TestDaemon } from "../harness/daemon.ts";
import { TestRegistry } from "../harness/registry.ts";

/** Where a build's result goes, by `tug build`. */

let daemon: TestDaemon;
let folder: string;
let context: string;

beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterAll(() => closeStopped(daemon), 120_000);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tug-build-output-"));
  context = join(folder, "context");
  mkdirSync(context);
  writeFileSync(join(context, "file"), "content");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A daemon keeps networks of steps for a while; its end does not wait for that. */
async function closeStopped(one: TestDaemon): Promise<void> {
  expect(await one.stop()).toBe(0);
  await one.close();
}

const build = (dockerfile: string, ...flags: string[]) => {
  writeFileSync(join(context, "Dockerfile"), dockerfile);
  return daemon.ok(["build", "-q", ...flags, context], { timeout: 60_000 });
};
const scratch = "FROM scratch\nCOPY file /f\n";
const onBusybox = "FROM busybox\nRUN mkdir /d && echo x >/d/x && rm /bin/vi\nRUN rm -r /d\nCOPY file /f\n";

interface Document {
  readonly mediaType: string;
  readonly manifests: readonly Entry[];
  readonly layers: readonly Entry[];
  readonly config: Entry;
  readonly annotations?: Readonly<Record<string, string>>;
}
interface Entry {
  readonly mediaType: string;
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly architecture: string };
}
/** Documents of an OCI layout. */
const layout = (root: string) => {
  const read = <T = Document>(path: string) => JSON.parse(readFileSync(join(root, path), "utf8")) as T;
  const blob = <T = Document>(digest: string | undefined) =>
    read<T>(`blobs/${(digest ?? "").replace(":", "/")}`);
  return { blob, top: read("index.json").manifests[0] };
};
const metadata = () =>
  JSON.parse(readFileSync(join(folder, "meta"), "utf8")) as Readonly<Record<string, string>>;

test("a step that a failed build has made again does not come between what was built on the old one", async () => {
  const steps = "FROM busybox\nCOPY . /copied\n";
  await build(`${steps}RUN echo 1 >/one\n`, "--no-cache");
  // Made again, the copied directory is younger: to the second, which is what a layer says.
  const second = Math.floor(Date.now() / 1000);
  while (Math.floor(Date.now() / 1000) === second) await Bun.sleep(50);
  await expect(build(`${steps}RUN exit 1\n`, "--no-cache")).rejects.toThrow("exit code: 1");
  await build(`${steps}RUN echo 1 >/one\n`, "-t", "on-old");
  expect(await daemon.ok(["run", "--rm", "on-old", "cat", "/one", "/copied/file"])).toBe("1\ncontent");
}, 120_000);

describe("trees", () => {
  test("a directory of the client's gets the tree, and what was there stays", async () => {
    const out = join(folder, "out");
    mkdirSync(out);
    writeFileSync(join(out, "mine"), "");
    await build(onBusybox, "-o", out);
    expect(readFileSync(join(out, "f"), "utf8")).toBe("content");
    expect(existsSync(join(out, "bin/sh"))).toBe(true);
    expect([existsSync(join(out, "bin/vi")), existsSync(join(out, "d"))]).toEqual([false, false]);
    expect(existsSync(join(out, "mine"))).toBe(true);
  });

  test("several platforms get a directory each, in a tar as well", async () => {
    const platforms = ["--platform", "linux/amd64,linux/arm64"];
    await build(scratch, ...platforms, "-o", join(folder, "out"));
    for (const name of ["linux_amd64", "linux_arm64"])
      expect(readFileSync(join(folder, "out", name, "f"), "utf8")).toBe("content");
    await build(scratch, ...platforms, "-o", `type=tar,dest=${join(folder, "out.tar")}`);
    const listed = await run(["tar", "-tf", join(folder, "out.tar")]);
    expect(listed.stdout.split("\n").filter(Boolean).sort()).toEqual([
      "linux_amd64/",
      "linux_amd64/f",
      "linux_arm64/",
      "linux_arm64/f",
    ]);
  });

  test("statements about the build lie beside the files when they are asked for", async () => {
    await build(onBusybox, "--provenance", "mode=max", "--sbom", "true", "-o", join(folder, "out"));
    const read = (name: string) => JSON.parse(readFileSync(join(folder, "out", name), "utf8"));
    expect(read("provenance.json").predicateType).toBe("https://slsa.dev/provenance/v0.2");
    expect(read("sbom.spdx.json").predicate.spdxVersion).toBe("SPDX-2.3");
  });
});

test("the provenance tells the commit of the context, who builds, and what steps were lent", async () => {
  const git = async (...args: string[]) => {
    const identity = ["-c", "user.name=T", "-c", "user.email=t@example.com"];
    const result = await run(["git", "-C", context, ...identity, ...args]);
    expect(result).toMatchObject({ code: 0 });
    return result.stdout.trim();
  };
  await git("init", "--quiet");
  await git("remote", "add", "origin", "https://ann:t0k3n@git.example.com/app.git");
  writeFileSync(
    join(context, "Dockerfile"),
    "FROM busybox\nCOPY file /f\nRUN --mount=type=secret,id=key --network=none grep -q x /run/secrets/key\n",
  );
  await git("add", ".");
  await git("commit", "--quiet", "-m", "first");
  const commit = await git("rev-parse", "HEAD");
  writeFileSync(join(folder, "key"), "x");
  const told = async (asked: string, variables: Readonly<Record<string, string>> = {}) => {
    const output = join(folder, "told");
    const flags = ["--secret", `id=key,src=${join(folder, "key")}`, "--provenance", asked, "-o", output];
    await daemon.ok(["build", "-q", ...flags, context], { timeout: 60_000, env: variables });
    const { predicate } = JSON.parse(readFileSync(join(output, "own.json"), "utf8"));
    rmSync(output, { recursive: true });
    return predicate;
  };
  const asked = "filename=own.json,builder-id=https://ci.example.com,reproducible=true";
  const old = await told(asked);
  expect(old).toMatchObject({
    builder: { id: "https://ci.example.com" },
    invocation: { parameters: { secrets: [{ id: "key", optional: true }] } },
    metadata: {
      reproducible: true,
      completeness: { materials: false },
      "https://mobyproject.org/buildkit@v1#metadata": {
        vcs: {
          revision: commit,
          source: "https://xxxxx:xxxxx@git.example.com/app.git",
          "localdir:context": ".",
          "localdir:dockerfile": ".",
        },
      },
    },
  });
  expect(JSON.stringify(old)).not.toContain("t0k3n");
  writeFileSync(join(context, "new"), "");
  const dirty = await told(`${asked},version=v1,mode=min`, { BUILDX_GIT_CHECK_DIRTY: "1" });
  expect(dirty.runDetails).toMatchObject({
    builder: { id: "https://ci.example.com" },
    metadata: { buildkit_reproducible: true, buildkit_metadata: { vcs: { revision: `${commit}-dirty` } } },
  });
  expect(JSON.stringify(dirty)).not.toContain('"key"');
  const silent = await told(asked, { BUILDX_GIT_INFO: "0" });
  expect(JSON.stringify(silent)).not.toContain(commit);
}, 120_000);

describe("archives", () => {
  test("an OCI layout comes as a directory, with the layers compressed as asked and the annotations", async () => {
    const root = join(folder, "oci");
    const output = `type=oci,tar=false,dest=${root},compression=zstd,annotation.a=b`;
    await build(onBusybox, "-t", "x:1", "-o", output);
    const { blob, top } = layout(root);
    expect(top?.annotations?.["org.opencontainers.image.ref.name"]).toBe("1");
    const manifest = blob(top?.digest);
    expect(manifest.annotations).toEqual({ a: "b" });
    const zstd = manifest.layers.map(({ mediaType }) => mediaType.endsWith("+zstd"));
    // The base's stays as it came.
    expect(zstd).toEqual([false, true, true, true]);
    const inspected = await run(["skopeo", "inspect", `oci:${root}:1`]);
    expect(inspected).toMatchObject({ code: 0 });
  });

  test("what was made only to be sent away does not stay", async () => {
    await build(onBusybox, "-q");
    const blobs = () => new Set(new Bun.Glob("**/*").scanSync(join(daemon.dataRoot, "content")));
    const before = blobs();
    await build(onBusybox, "-o", `type=oci,dest=${join(folder, "x.tar")},compression=zstd`);
    expect([...blobs()].filter((path) => !before.has(path))).toEqual([]);
  });

  test("a docker archive is loaded again as the image that it is", async () => {
    const tar = join(folder, "image.tar");
    const iid = join(folder, "iid");
    await build(onBusybox, "-t", "loaded:1", "--iidfile", iid, "-o", `type=docker,dest=${tar}`);
    expect(await daemon.ok(["images", "-q", "loaded:1"])).toBe("");
    await daemon.ok(["load", "-i", tar]);
    expect(await daemon.ok(["image", "inspect", "-f", "{{.Id}}", "loaded:1"])).toBe(
      readFileSync(iid, "utf8"),
    );
    expect(await daemon.ok(["run", "--rm", "loaded:1", "cat", "/f"])).toBe("content");
    await daemon.ok(["rmi", "loaded:1"]);
  });

  test("estargz is refused by name", async () => {
    writeFileSync(join(context, "Dockerfile"), scratch);
    const result = await daemon.tug(["build", "-o", "type=image,compression=estargz", context]);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("compression estargz is not written by this builder");
  });
});

test("the metadata file tells where the results came from, as much of it as was asked for", async () => {
  const told = async (mode: string, ...flags: string[]) => {
    writeFileSync(join(context, "Dockerfile"), scratch);
    const args = ["build", "-q", "--metadata-file", join(folder, "meta"), ...flags, context];
    await daemon.ok(args, { env: { BUILDX_METADATA_PROVENANCE: mode } });
    return JSON.parse(readFileSync(join(folder, "meta"), "utf8")) as Record<string, Record<string, unknown>>;
  };
  const name = "buildx.build.provenance";
  const least = (await told(""))[name];
  expect(least).toMatchObject({ buildType: "https://mobyproject.org/buildkit@v1", materials: [] });
  expect(least).not.toHaveProperty("buildConfig");
  expect((await told("max"))[name]).toHaveProperty("buildConfig");
  expect(await told("disabled")).not.toHaveProperty([name]);
  const several = await told("min", "--platform", "linux/amd64,linux/arm64");
  for (const platform of ["linux/amd64", "linux/arm64"])
    expect(several).toHaveProperty([`${name}/${platform}`]);
}, 120_000);

describe("the image store", () => {
  test("several platforms are one image with an index", async () => {
    await build(
      scratch,
      "--platform",
      "linux/amd64,linux/arm64",
      "-t",
      "multi:1",
      "--metadata-file",
      join(folder, "meta"),
    );
    expect(metadata()["containerimage.digest"]).toMatch(/^sha256:/);
    const platforms = await daemon.ok(["save", "multi:1", "-o", join(folder, "multi.tar")]);
    expect(platforms).toBe("");
    mkdirSync(join(folder, "multi"));
    await run(["tar", "-xf", join(folder, "multi.tar"), "-C", join(folder, "multi")]);
    const { blob, top } = layout(join(folder, "multi"));
    expect(top?.digest).toBe(metadata()["containerimage.digest"] ?? "");
    const index = blob(top?.digest);
    expect(index.manifests.map(({ platform }) => platform?.architecture)).toEqual(["amd64", "arm64"]);
    await daemon.ok(["rmi", "multi:1"]);
  });

  const emulates = existsSync("/proc/sys/fs/binfmt_misc/qemu-aarch64");
  if (emulates) console.log("skipped: this machine runs programs of arm64");
  test.skipIf(emulates)("a step of a platform that the host cannot run says so, and what to do", async () => {
    // The head of an ELF program for aarch64 (elf(5)): the kernel looks at no more.
    const elf = Buffer.alloc(256);
    Buffer.from("7f454c460201010000000000000000000200b70001000000", "hex").copy(elf);
    writeFileSync(join(context, "sh"), elf, { mode: 0o755 });
    writeFileSync(join(context, "Dockerfile"), "FROM scratch\nCOPY sh /bin/sh\nRUN true\n");
    const result = await daemon.tug(["build", "--platform", "linux/arm64", context]);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(
      /"\/bin\/sh -c true" did not complete successfully: exit code: \d+: its programs are linux\/arm64, this machine is .*tonistiigi\/binfmt --install arm64/,
    );
  });

  test("statements about the build are in the index beside the image", async () => {
    const flags = ["--provenance", "version=v1", "--sbom", "true", "-t", "told:1"];
    await build(onBusybox, ...flags);
    await daemon.ok(["save", "told:1", "-o", join(folder, "told.tar")]);
    mkdirSync(join(folder, "told"));
    await run(["tar", "-xf", join(folder, "told.tar"), "-C", join(folder, "told")]);
    const { blob, top } = layout(join(folder, "told"));
    const [image, attestation] = blob(top?.digest).manifests;
    expect(attestation?.annotations).toEqual({
      "vnd.docker.reference.digest": image?.digest ?? "",
      "vnd.docker.reference.type": "attestation-manifest",
    });
    const types = blob(attestation?.digest).layers.map(
      (one) => one.annotations?.["in-toto.io/predicate-type"],
    );
    expect(types).toEqual(["https://spdx.dev/Document", "https://slsa.dev/provenance/v1"]);
    expect(await daemon.ok(["run", "--rm", "told:1", "cat", "/f"])).toBe("content");
    await daemon.ok(["rmi", "told:1"]);
    const root = join(folder, "artifact");
    await build(onBusybox, ...flags, "-o", `type=oci,tar=false,oci-artifact=true,dest=${root}`);
    const told = layout(root);
    const [about, artifact] = told.blob(told.top?.digest).manifests;
    expect(told.blob(artifact?.digest)).toMatchObject({
      artifactType: "application/vnd.docker.attestation.manifest.v1+json",
      config: { mediaType: "application/vnd.oci.empty.v1+json", size: 2 },
      subject: { digest: about?.digest },
    });
  });

  test("squashed layers are one on top of the base's, without what a later one removed", async () => {
    await build(onBusybox, "--squash", "-t", "squashed:1");
    const layers = (name: string) =>
      daemon.ok(["image", "inspect", "-f", "{{len .RootFS.Layers}} {{index .RootFS.Layers 0}}", name]);
    const [count, bottom] = (await layers("squashed:1")).split(" ");
    expect(count).toBe("2");
    expect(bottom).toBe((await layers("busybox")).split(" ")[1]);
    const seen = await daemon.ok([
      "run",
      "--rm",
      "squashed:1",
      "sh",
      "-c",
      "cat /f; ls -d /d /bin/vi 2>/dev/null; true",
    ]);
    expect(seen).toBe("content");
    expect(await daemon.ok(["history", "--format", "{{.Comment}}", "squashed:1"])).toContain(
      "merge 3 layers onto sha256:",
    );
    await daemon.ok(["rmi", "squashed:1"]);
  });

  test("two daemons make the same image of the same SOURCE_DATE_EPOCH, steps run anew", async () => {
    const other = await TestDaemon.start({ busybox: false });
    try {
      writeFileSync(join(context, "Dockerfile"), onBusybox);
      // The base is the same for both, not only alike.
      await daemon.ok(["save", "busybox", "-o", join(folder, "base.tar")]);
      await other.ok(["load", "-i", join(folder, "base.tar")]);
      const flags = ["-q", "--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=86400", "-t", "same:1"];
      const ids: string[] = [];
      for (const each of [daemon, other]) ids.push(await each.ok(["build", ...flags, context]));
      const [first, second] = ids;
      expect(first).toMatch(/^sha256:/);
      expect(second).toBe(first ?? "");
      expect(await daemon.ok(["run", "--rm", "same:1", "stat", "-c", "%Y", "/f"])).toBe("86400");
      await daemon.ok(["rmi", "same:1"]);
    } finally {
      await closeStopped(other);
    }
  }, 120_000);
});

describe("secrets", () => {
  const value = "correct-horse-battery";
  const mounted = "RUN --mount=type=secret,id=token test -s /run/secrets/token\n";
  const cases: readonly (readonly [string, string, string])[] = [
    [
      "written by the step that has it",
      `FROM busybox\n${mounted.replace("test -s /run/secrets/token", "cp /run/secrets/token /leak")}`,
      "/leak",
    ],
    ["copied from the context", `FROM busybox\n${mounted}COPY leak /copied\n`, "/copied"],
    ["in the environment", `FROM busybox\nARG V\n${mounted}ENV TOKEN=$V\n`, "config.Env"],
    ["in a label", `FROM busybox\nARG V\n${mounted}LABEL a.b=x$V\n`, "config.Labels"],
    ["in the history", `FROM busybox\nARG V\n${mounted}RUN true\n`, "history"],
  ];
  for (const [where, dockerfile, place] of cases)
    test(`a build fails when a secret's value is ${where}`, async () => {
      writeFileSync(join(folder, "token"), value);
      writeFileSync(join(context, "leak"), `x=${value}\n`);
      writeFileSync(join(context, "Dockerfile"), dockerfile);
      const flags = ["--secret", `id=token,src=${join(folder, "token")}`, "--build-arg", `V=${value}`];
      // The second time the steps are known.
      for (const _ of ["new", "cached"]) {
        const result = await daemon.tug(["build", ...flags, "-t", "leaked:1", context]);
        expect(result.code).toBe(1);
        expect(result.stderr).toContain("secret token: its value is in");
        expect(result.stderr).toContain(place);
      }
      expect(await daemon.ok(["images", "-q", "leaked:1"])).toBe("");
    });
});

describe("a registry", () => {
  const missing = TestRegistry.missing();
  if (missing !== undefined) console.log(`skipped: ${missing}`);
  let registry: TestRegistry | undefined;
  beforeAll(async () => {
    if (missing === undefined) registry = await TestRegistry.start({ users: { ann: "secret" } });
  }, 120_000);
  afterAll(async () => await registry?.close());

  test.skipIf(missing !== undefined)("gets an index by its name, with the client's credentials", async () => {
    const address = registry?.address ?? "";
    const config = join(folder, "config");
    mkdirSync(config);
    const auth = Buffer.from("ann:secret").toString("base64");
    writeFileSync(join(config, "config.json"), JSON.stringify({ auths: { [address]: { auth } } }));
    writeFileSync(join(context, "Dockerfile"), scratch);
    const name = `${address}/pushed/x:1`;
    const flags = ["--platform", "linux/amd64,linux/arm64", "--metadata-file", join(folder, "meta")];
    const args = ["build", "--progress", "plain", ...flags, "-t", name, "--push", context];
    const built = await daemon.tug(args, { env: { DOCKER_CONFIG: config } });
    expect(built).toMatchObject({ code: 0 });
    const digest = metadata()["containerimage.digest"] ?? "";
    expect(built.stderr).toContain("pushing layers");
    expect(built.stderr).toContain(`pushing manifest for ${name}@${digest}`);
    const there = await run([
      "skopeo",
      "inspect",
      "--raw",
      "--creds",
      "ann:secret",
      "--tls-verify=false",
      `docker://${name}`,
    ]);
    const index = JSON.parse(there.stdout) as Document;
    expect(index.manifests.map(({ platform }) => platform?.architecture)).toEqual(["amd64", "arm64"]);
    const anonymous = await daemon.tug(args, { env: { DOCKER_CONFIG: join(folder, "none") } });
    expect(anonymous.code).toBe(1);
    await daemon.ok(["rmi", name]);
  });
});
