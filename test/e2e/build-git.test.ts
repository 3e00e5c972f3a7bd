import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { GitServer, type Repository } from "../../src/build/run/testdata/git-server.ts";
import { Builds } from "../harness/builds.ts";
import { TestDaemon } from "../harness/daemon.ts";
import { SshServer } from "../harness/ssh-server.ts";

/** Repositories as contexts and as what ADD brings: over HTTP with secrets, over SSH with the client's agent. */
let daemon: TestDaemon;
let builds: Builds;
let git: GitServer;
let app: Repository;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  builds = new Builds(daemon);
  git = new GitServer();
  const library = git.repository("library");
  put(library, { "lib.c": "int lib;" });
  const commit = library.commit();
  app = git.repository("app");
  put(app, {
    Dockerfile: "FROM busybox\nCOPY . /app/\n",
    "sub/Dockerfile": "FROM scratch\nCOPY . /\n",
    "sub/file": "one",
    ".gitmodules": '[submodule "lib"]\n\tpath = lib\n\turl = ../../library/.git\n',
  });
  mkdirSync(join(app.path, "lib"));
  app.git("update-index", "--add", "--cacheinfo", `160000,${commit},lib`);
  app.git("add", "Dockerfile", "sub", ".gitmodules");
  app.git("commit", "--quiet", "-m", "first");
  app.git("tag", "-a", "v1", "-m", "annotated");
}, 120_000);
afterAll(async () => {
  await git[Symbol.asyncDispose]();
  builds[Symbol.dispose]();
  await daemon.stopAndClose();
});

function put(repository: Repository, files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(repository.path, name)), { recursive: true });
    writeFileSync(join(repository.path, name), content);
  }
}

const options = { timeout: 60_000 };
const build = (context: string, ...args: string[]) => daemon.tug(["build", "-q", ...args, context], options);
const ok = (...args: string[]) => daemon.ok(["build", "-q", ...args], options);
/** Files of an image below a directory, sorted. */
const files = async (image: string, directory: string) =>
  (await daemon.ok(["run", "--rm", image, "find", directory, "-type", "f"])).split("\n").sort();
const sourceTime = (repository: Repository) => Number(repository.git("log", "-1", "--format=%ct"));

describe("a repository", () => {
  test("is asked for in fragment and query form, with its parts as they say", async () => {
    const all = [
      "/app/.gitmodules",
      "/app/Dockerfile",
      "/app/lib/lib.c",
      "/app/sub/Dockerfile",
      "/app/sub/file",
    ];
    const without = all.filter((path) => !path.includes("/lib/"));
    const commit = app.git("rev-parse", "HEAD");
    const forms: readonly (readonly [string, readonly string[]])[] = [
      ["#main", all],
      ["?branch=main&submodules=false", without],
      [`?tag=v1&checksum=${commit.slice(0, 10)}&submodules=0`, without],
      [`?commit=${commit}&fetch-by-commit&submodules=0`, without],
    ];
    for (const [form, expected] of forms) {
      await ok("-t", "formed", `${app.url}${form}`);
      expect(await files("formed", "/app")).toEqual([...expected]);
    }
    await ok("-t", "kept", `${app.url}?ref=v1&keep-git-dir=1`);
    expect(await files("kept", "/app/.git")).toContain("/app/.git/HEAD");
    const withPassword = app.url.replace("//", "//user:geheim@");
    const sub = ["--provenance", "mode=max", "-o", join(builds.root, "sub")];
    await ok(...sub, `${withPassword}?subdir=sub#main`);
    expect(readFileSync(join(builds.root, "sub/file"), "utf8")).toBe("one");
    const told = readFileSync(join(builds.root, "sub/provenance.json"), "utf8");
    const shown = app.url.replace("//", "//xxxxx:xxxxx@");
    const { materials, invocation, metadata } = JSON.parse(told).predicate;
    expect(materials).toEqual([{ uri: `${shown}#main`, digest: { sha1: commit } }]);
    expect(invocation.configSource).toEqual({
      uri: `${shown}?subdir=sub#main`,
      digest: { sha1: commit },
      entryPoint: "Dockerfile",
    });
    // Nothing came from the client, and no step had a network.
    expect(metadata.completeness.materials).toBe(true);
    expect(metadata["https://mobyproject.org/buildkit@v1#hermetic"]).toBe(true);
    expect(told).not.toContain("geheim");
    const wrong = await build(`${app.url}?tag=v1&checksum=abcdef0`);
    expect(wrong.stderr).toContain("expected checksum to match abcdef0");
    const unknown = await build(`${app.url}?tags=v1`);
    expect(unknown.stderr).toContain('unexpected query "tags"');
  });

  test("gives its commit's time to files with mtime=commit, and to all of a build with SOURCE_DATE_EPOCH=context", async () => {
    const time = sourceTime(app);
    const add = builds.context({ Dockerfile: `FROM busybox\nADD ${app.url}?mtime=commit /app\n` });
    await ok("-t", "dated", add);
    const stat = (image: string, path: string) => daemon.ok(["run", "--rm", image, "stat", "-c", "%Y", path]);
    expect(await stat("dated", "/app/sub/file")).toBe(String(time));
    const args = ["--build-arg", "SOURCE_DATE_EPOCH=context", "-t", "of-context"];
    await ok(...args, `${app.url}#main`);
    const created = await daemon.ok(["image", "inspect", "-f", "{{.Created}}", "of-context"]);
    expect(Date.parse(created)).toBe(time * 1000);
    expect(await stat("of-context", "/app/sub/file")).toBe(String(time));
    // Directories of the client's have no such time.
    await ok("--build-arg", "SOURCE_DATE_EPOCH=context", "-t", "of-directory", add);
    const now = await daemon.ok(["image", "inspect", "-f", "{{.Created}}", "of-directory"]);
    expect(Date.parse(now)).toBeGreaterThan(time * 1000 - 1);
    const stage = `FROM scratch AS time\nADD ${app.url}#v1 /\nFROM busybox\nARG SOURCE_DATE_EPOCH\nRUN echo $SOURCE_DATE_EPOCH >/said\n`;
    await ok(
      "--build-arg",
      "SOURCE_DATE_EPOCH=time",
      "-t",
      "of-stage",
      builds.context({ Dockerfile: stage }),
    );
    expect(await daemon.ok(["run", "--rm", "of-stage", "cat", "/said"])).toBe(String(time));
  });

  test("that is private takes a token or a header, which stand in nothing that is made", async () => {
    const basic = (user: string) => `basic ${btoa(`${user}:t0k3n`)}`;
    try {
      for (const [id, secret, shown] of [
        ["GIT_AUTH_TOKEN", "t0k3n", basic("x-access-token")],
        [`GIT_AUTH_HEADER.${new URL(git.url).host}`, basic("ann"), basic("ann")],
      ] as const) {
        git.secret = shown;
        writeFileSync(join(builds.root, "secret"), secret);
        const flags = [
          "--secret",
          `id=${id},src=${join(builds.root, "secret")}`,
          "--no-cache",
          "-t",
          "private",
        ];
        await ok(...flags, `${app.url}?keep-git-dir=1#main`);
        const said = await daemon.ok([
          "run",
          "--rm",
          "private",
          "sh",
          "-c",
          "grep -r t0k3n /app; cat /app/.git/config",
        ]);
        expect(said).toContain(app.url);
        expect(said).not.toContain("t0k3n");
      }
      const refused = await build(`${app.url}#nobody`);
      expect(refused.stderr).toContain("could not read Username");
    } finally {
      git.secret = undefined;
    }
  });

  test("whose name git or ssh could take for an option is none", async () => {
    for (const context of [
      "ssh://-oProxyCommand=touch/x.git",
      "git@-oProxyCommand=x:y",
      "https://h/r.git#--upload-pack=x",
    ])
      expect((await build(context)).code).not.toBe(0);
    const add = (source: string) => build(builds.context({ Dockerfile: `FROM scratch\nADD ${source} /\n` }));
    expect((await add("ssh://-oProxyCommand=touch/x.git")).stderr).toContain("invalid git URL");
    expect((await add("https://h/r.git#--upload-pack=x")).stderr).toContain("invalid git ref");
  });
});

describe("over SSH", () => {
  const missing = SshServer.missing();
  if (missing !== undefined) console.log(`skipped: ${missing}`);

  test.skipIf(missing !== undefined)(
    "the client's agent lets in, submodules beside it too, and a host key that changed stops it",
    async () => {
      await using server = new SshServer();
      const remote = `ssh://root@127.0.0.1:${server.port}${app.path}/.git`;
      // A commit is checked out once, wherever it came from.
      await daemon.ok(["builder", "prune", "-af"]);
      const add = builds.context({
        Dockerfile: `FROM busybox\nADD --keep-git-dir=true ${remote}?submodules=false#v1 /app\n`,
      });
      const shut = await build(add);
      expect(shut.code).toBe(1);
      expect(shut.stderr).toContain("Permission denied");
      expect(shut.stderr).toContain("the build was given no SSH agent: tug build --ssh default");
      // An agent by another name is not this one.
      const other = await build(add, "--ssh", `other=${server.key}`);
      expect(other.stderr).toContain("--ssh default");
      await ok("--ssh", `default=${server.key}`, "-t", "over-ssh", `${remote}#main`);
      expect(await files("over-ssh", "/app/lib")).toEqual(["/app/lib/lib.c"]);
      await ok("--ssh", `default=${server.key}`, "-t", "added", add);
      expect(await files("added", "/app/sub")).toHaveLength(2);
      server.renewHostKey();
      const changed = await build(`${remote}#main`, "--ssh", `default=${server.key}`);
      expect(changed.code).toBe(1);
      expect(changed.stderr).toContain("REMOTE HOST IDENTIFICATION HAS CHANGED");
      expect(changed.stderr).toContain("if the server has a new key");
      const known = /Offending .* key in (\S+):\d+/.exec(changed.stderr)?.[1] ?? "";
      writeFileSync(known, "");
      await ok("--ssh", `default=${server.key}`, `${remote}#main`);
    },
    120_000,
  );

  const noAgent = Bun.which("ssh-add")
    ? undefined
    : "ssh-add is not installed (Debian package openssh-client)";
  if (noAgent !== undefined) console.log(`skipped: ${noAgent}`);
  test.skipIf(noAgent !== undefined)(
    "a step has the agent that it names and no other, and only while it runs",
    async () => {
      const key = (name: string) => {
        const path = join(builds.root, `key-${name}`);
        Bun.spawnSync(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path]);
        return path;
      };
      // The host's program with what it is linked to; the image has no libc of its own.
      const program = "/usr/bin/ssh-add";
      const linked = Bun.spawnSync(["ldd", program]).stdout.toString();
      const parts = [program, ...linked.matchAll(/(\/\S+) \(0x/g)].map((part) =>
        typeof part === "string" ? part : (part[1] ?? ""),
      );
      const files = Object.fromEntries(parts.map((path) => [`root${path}`, readFileSync(path)]));
      const dockerfile = `FROM busybox
COPY --chmod=755 root /
RUN --mount=type=ssh ssh-add -l >/default
RUN --mount=type=ssh,id=deploy,target=/agent SSH_AUTH_SOCK=/agent ssh-add -l >/deploy
RUN --mount=type=ssh,id=none true && test ! -e /agent
`;
      const context = builds.context({ Dockerfile: dockerfile, ...files });
      await ok(
        "--ssh",
        `default=${key("first")}`,
        "--ssh",
        `deploy=${key("second")}`,
        "-t",
        "agents",
        context,
      );
      const said = await daemon.ok(["run", "--rm", "agents", "cat", "/default", "/deploy"]);
      expect(said.split("\n").map((line) => line.split(" ")[2])).toEqual(["first", "second"]);
      const required = builds.context({
        Dockerfile: "FROM busybox\nRUN --mount=type=ssh,id=other,required true\n",
      });
      const refused = await build(required, "--ssh", `default=${join(builds.root, "key-first")}`);
      expect(refused.stderr).toContain("other");
      expect(refused.code).toBe(1);
    },
    120_000,
  );
});
