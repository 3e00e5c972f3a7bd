import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GitServer } from "../../src/build/run/testdata/git-server.ts";
import { Builds } from "../harness/builds.ts";
import { run, TestDaemon } from "../harness/daemon.ts";

/** The same inputs make the same bytes: two daemons on two data roots, steps run anew, contexts with other times. */
let daemons: readonly TestDaemon[];
let builds: Builds;
let git: GitServer;
let web: ReturnType<typeof Bun.serve>;
let context: string;
const epoch = 1_700_000_000;
beforeAll(async () => {
  const first = await TestDaemon.start();
  daemons = [first, await TestDaemon.start({ busybox: false })];
  builds = new Builds(first);
  const base = join(builds.root, "base.tar");
  await first.ok(["save", "busybox", "-o", base]);
  await daemons[1]?.ok(["load", "-i", base]);
  git = new GitServer();
  const repository = git.repository("app");
  writeFileSync(join(repository.path, "from-git"), "git");
  repository.commit();
  const tar = Bun.spawnSync(["tar", "-C", repository.path, "-cz", "from-git"]).stdout;
  web = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(new Uint8Array(tar)) });
  context = builds.context({
    Dockerfile: `FROM --platform=$BUILDPLATFORM busybox AS made
RUN mkdir /made && date >/tmp/x && rm /tmp/x && for i in 3 1 2; do echo $i >/made/$i; done && ln /made/1 /made/hard
RUN --mount=type=cache,target=/cache echo x >/made/again && chown 12:34 /made/2
FROM scratch
COPY --from=made /made /made
COPY --link file /linked
COPY . /context/
ADD ${git.url}/app/.git#main /git
ADD ${web.url.origin}/file.tar.gz /http/
ADD archive.tar.gz /archive/
WORKDIR /work
`,
    file: "content",
    "dir/file": "more",
  });
  writeFileSync(join(context, "archive.tar.gz"), tar);
}, 120_000);
afterAll(async () => {
  await web.stop(true);
  await git[Symbol.asyncDispose]();
  builds[Symbol.dispose]();
  for (const daemon of daemons) await daemon.stopAndClose();
}, 120_000);

let age = 0;
/** What each daemon makes of it; the context's files are younger each time. */
async function byEach(
  look: (folder: string) => string | Promise<string>,
  ...args: string[]
): Promise<string[]> {
  const made: string[] = [];
  for (const [index, daemon] of daemons.entries()) {
    age += 1000;
    for (const name of ["file", "dir/file", "Dockerfile"]) utimesSync(join(context, name), 0, age);
    const folder = join(builds.root, `made-${age}-${index}`);
    mkdirSync(folder);
    const filled = args.map((arg) => arg.replaceAll("OUT", folder));
    await daemon.ok(
      ["build", "-q", "--no-cache", "--build-arg", `SOURCE_DATE_EPOCH=${epoch}`, ...filled, context],
      { timeout: 60_000 },
    );
    made.push(await look(folder));
  }
  return made;
}
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

test("images of several platforms have one digest, and archives of them the same bytes", async () => {
  const [first, second] = await byEach(
    (folder) => `${sha256(join(folder, "oci"))} ${sha256(join(folder, "docker"))}`,
    ...["--platform", "linux/amd64,linux/arm64"],
    ...[
      "-o",
      "type=oci,dest=OUT/oci,compression=zstd,name=x:1",
      "-o",
      "type=docker,dest=OUT/docker,name=x:1",
    ],
  );
  expect(second).toBe(first ?? "");
}, 120_000);

test("files and tars have the time that was asked for, and nothing else differs", async () => {
  const listed = async (folder: string) => {
    const format = "%P %y %m %n %s %T@ %l\n";
    const found = await run(["find", join(folder, "files"), "-mindepth", "1", "-printf", format]);
    expect(found.stdout).toContain("made/again f 644 1 2 ");
    const times = new Set(
      found.stdout
        .trim()
        .split("\n")
        .map((line) => line.split(" ")[5]),
    );
    expect(times).toEqual(new Set([`${epoch}.0000000000`]));
    return `${found.stdout.split("\n").sort().join("\n")}${sha256(join(folder, "tar"))}`;
  };
  const mk = ["-o", "OUT/files", "-o", "type=tar,dest=OUT/tar"];
  const [first, second] = await byEach(listed, ...mk);
  expect(second).toBe(first ?? "");
}, 120_000);

test("the time may be that of a downloaded context: the server's word, else the newest file in it", async () => {
  const [daemon] = daemons;
  const tree = builds.context({ Dockerfile: "FROM scratch\nCOPY f /\n", f: "f" });
  utimesSync(join(tree, "f"), 0, 86_400);
  utimesSync(join(tree, "Dockerfile"), 0, 3600);
  const tar = Bun.spawnSync(["tar", "-C", tree, "-c", "Dockerfile", "f"]).stdout;
  let headers = {};
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response(new Uint8Array(tar), { headers }),
  });
  try {
    const created: number[] = [];
    for (const [index, told] of [{}, { "last-modified": new Date(50_000_000).toUTCString() }].entries()) {
      headers = told;
      const args = ["build", "-q", "--build-arg", "SOURCE_DATE_EPOCH=context", "-t", "dated"];
      await daemon?.ok([...args, `${server.url.origin}/${index}.tar`], { timeout: 60_000 });
      created.push(Date.parse((await daemon?.ok(["image", "inspect", "-f", "{{.Created}}", "dated"])) ?? ""));
    }
    expect(created).toEqual([86_400_000, 50_000_000]);
  } finally {
    await server.stop(true);
  }
}, 120_000);

test("a bill of materials is the same, and so is the image that provenance is about", async () => {
  interface Listed {
    readonly digest: string;
    readonly annotations?: Readonly<Record<string, string>>;
  }
  const parts = (folder: string): string => {
    const read = (path: string) => JSON.parse(readFileSync(join(folder, path), "utf8"));
    const blob = (digest = "") => read(`blobs/${digest.replace(":", "/")}`);
    const [image, attestation] = blob(read("index.json").manifests[0].digest).manifests as readonly Listed[];
    const told = blob(attestation?.digest).layers as readonly Listed[];
    expect(told.map((one) => one.annotations?.["in-toto.io/predicate-type"])).toEqual([
      "https://spdx.dev/Document",
      "https://slsa.dev/provenance/v0.2",
    ]);
    return JSON.stringify([image?.digest, told[0]?.digest]);
  };
  const attested = [
    "--sbom",
    "true",
    "--provenance",
    "mode=max",
    "-o",
    "type=oci,tar=false,dest=OUT,name=x:1",
  ];
  const [first, second] = await byEach(parts, ...attested);
  expect(second).toBe(first ?? "");
}, 120_000);
