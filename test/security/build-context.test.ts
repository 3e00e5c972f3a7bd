import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { GitServer } from "../../src/build/run/testdata/git-server.ts";
import { Builds } from "../harness/builds.ts";
import { TestDaemon } from "../harness/daemon.ts";
import { directory, file, gnuLong, hardlink, member, pax, symlink, tarEnd } from "../harness/raw-tar.ts";

// A machine under load takes its time.
setDefaultTimeout(120_000);

/** CVE-2026-33747, -33748, CVE-2022-39253 and their kind: contexts that are to lead a build to the host. */
const missing = Builds.missing() ?? GitServer.missing();
if (missing) console.log(`skipped: ${missing}`);
const marker = "CANARY-OF-THE-HOST";

let daemon: TestDaemon;
let builds: Builds;
let server: GitServer;
let canary: string;
beforeAll(async () => {
  if (missing) return;
  daemon = await TestDaemon.start({
    config: { builder: { frontends: ["evil/frontend", "127.0.0.1:1/evil/frontend"] } },
  });
  builds = new Builds(daemon);
  server = new GitServer();
  canary = mkdtempSync("/tmp/tug-e2e-canary-");
  writeFileSync(join(canary, "marker"), marker);
  writeFileSync(join(canary, "Dockerfile"), `FROM busybox\nRUN echo ran-${marker}\n`);
});
const intact = () => {
  expect(readdirSync(canary).sort()).toEqual(["Dockerfile", "marker"]);
  expect(readFileSync(join(canary, "marker"), "utf8")).toBe(marker);
};
afterEach(() => {
  if (!missing) intact();
});
afterAll(async () => {
  if (missing) return;
  builds[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  await daemon.stopAndClose();
  rmSync(canary, { recursive: true });
});

const attack = missing ? test.skip : test;
const tar = (...members: Uint8Array[]) => Buffer.concat([...members, tarEnd]);
const dockerfile = (text: string) => file("Dockerfile", text);
const show = dockerfile(
  "FROM busybox\nCOPY . /all\nRUN find /all -type f -exec cat {} +; find /all -type l -exec cat {} +; find /all; true\n",
);
/** Whatever comes of it, nothing of the host is in it, and the daemon serves. */
async function harmless(body: Uint8Array, query: Record<string, string> = {}) {
  const result = await builds.classic(body, query);
  expect(`${result.text}${result.error}`).not.toContain(marker);
  intact();
  return result;
}

attack("members of an archive that lead out of it, or are no files, do no harm and end nothing", async () => {
  const evil: Record<string, Uint8Array[]> = {
    "dots before": [file(`../../../../../..${"/tmp/tug-e2e-evil"}`, "evil")],
    "dots within": [directory("a"), file("a/../../../../../../tmp/tug-e2e-evil", "evil")],
    absolute: [file(`${canary}/marker`, "evil")],
    "by pax": [pax({ path: `${canary}/marker` }), file("x", "evil")],
    "by GNU's long name": [gnuLong("L", `../../../../../../../..${canary}/marker`), file("x", "evil")],
    "through a link": [symlink("d", canary), file("d/marker", "evil"), file("d/new", "evil")],
    "through a link twice": [
      symlink("d", "e"),
      symlink("e", canary),
      directory("d"),
      file("d/marker", "evil"),
    ],
    "a link over a directory": [
      directory("d"),
      file("d/a", "x"),
      symlink("d", canary),
      file("d/marker", "evil"),
    ],
    "a hard link to the host": [hardlink("h", `${canary}/marker`), file("h", "evil")],
    "a hard link through a link": [symlink("d", canary), hardlink("h", "d/marker"), file("h", "evil")],
    "a hard link with dots": [hardlink("h", `../../../../../..${canary}/marker`)],
    "a link to the host": [symlink("l", `${canary}/marker`)],
    "a block device": [member({ name: "disk", type: "4", major: 8, minor: 0 })],
    "a character device": [member({ name: "mem", type: "3", major: 1, minor: 1 })],
    "a pipe": [member({ name: "pipe", type: "6" })],
    "the root itself": [directory("/", { mode: 0o777 }), directory(".", { mode: 0o700 }), directory("./")],
  };
  for (const [what, members] of Object.entries(evil)) {
    const { text, error } = await harmless(tar(show, ...members));
    // Either the archive is refused in words, or it is built without leading anywhere.
    expect([what, error ?? "built"]).not.toEqual([
      what,
      expect.stringMatching(/internal|undefined|ENOENT: no such file.*\/data\//),
    ]);
    if (error === undefined) expect(text).toContain("Successfully built");
  }
  expect(readdirSync("/tmp").filter((name) => name === "tug-e2e-evil")).toEqual([]);
});

attack("a Dockerfile that is a link out of the context, or a path out of it, is none", async () => {
  const run = "FROM busybox\nRUN true\n";
  for (const body of [
    tar(symlink("Dockerfile", `${canary}/Dockerfile`)),
    tar(symlink("Dockerfile", `../../../../../../../..${canary}/Dockerfile`)),
    tar(symlink("d", canary), symlink("Dockerfile", "d/Dockerfile")),
    tar(hardlink("Dockerfile", `${canary}/Dockerfile`)),
    tar(directory("Dockerfile")),
    tar(member({ name: "Dockerfile", type: "6" })),
  ])
    expect((await harmless(body)).error).toBeTruthy();
  for (const path of [
    `${canary}/Dockerfile`,
    `../../../../../../..${canary}/Dockerfile`,
    "d/Dockerfile",
    "../Dockerfile",
  ])
    expect(
      (await harmless(tar(symlink("d", canary), file("other", run)), { dockerfile: path })).error,
    ).toBeTruthy();
  // A link within is as good as a file.
  expect((await harmless(tar(file("real", run), symlink("Dockerfile", "real")))).error).toBeUndefined();
  const folder = builds.context({ real: run });
  symlinkSync(join(canary, "Dockerfile"), join(folder, "Dockerfile"));
  const result = await builds.buildkit(folder);
  expect(result.stdout + result.stderr).not.toContain(`ran-${marker}`);
});

attack(".dockerignore is a list of patterns, whatever it says or is", async () => {
  for (const ignore of [
    "../../..",
    "!../../../etc/passwd",
    `${canary}/**`,
    "**/../**",
    "!**",
    "[",
    "\\",
    "\u0000",
    "*".repeat(5000),
    "a*".repeat(200),
  ]) {
    const { error } = await harmless(
      tar(
        show,
        file("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "x"),
        file(".dockerignore", ignore),
      ),
    );
    expect(error ?? "").not.toMatch(/internal error/);
  }
  await harmless(tar(show, symlink(".dockerignore", "/etc/passwd")));
  await harmless(tar(show, directory(".dockerignore")));
});

attack("COPY and ADD of links in a context copy links, or what they mean in the context", async () => {
  const links = [
    symlink("l", `${canary}/marker`),
    symlink("d", canary),
    symlink("up", "../../../../.."),
    symlink("p", "/proc/self/root"),
  ];
  for (const line of [
    "COPY l /x/",
    "COPY d/marker /x/",
    "COPY d /x/",
    `COPY up${"/tmp"} /x/`,
    "COPY p/etc/shadow /x/",
    "ADD d/marker /x/",
    `COPY ../../..${canary}/marker /x/`,
    "COPY --parents d/marker /x/",
    "ADD l /x/",
  ])
    await harmless(tar(dockerfile(`FROM busybox\n${line}\nRUN find /x; cat /x/* 2>&1; true\n`), ...links));
});

attack("archives for ADD lead nowhere", async () => {
  const inner = tar(
    symlink("d", canary),
    file("d/marker", "evil"),
    file("../../../../evil", "evil"),
    file(`${canary}/marker`, "evil"),
    hardlink("h", `${canary}/marker`),
  );
  const body = tar(
    dockerfile("FROM busybox\nADD a.tar /x/\nRUN find /x; cat /x/h 2>&1; true\n"),
    member({ name: "a.tar", data: inner }),
  );
  await harmless(body);
});

attack(
  "a frontend has none of the builder's rights: it is confined as a RUN is, without a network",
  async () => {
    // The classic protocol has no frontends: the line is a name there.
    const { text, error } = await harmless(
      tar(dockerfile("# syntax=127.0.0.1:1/evil/frontend:1\nFROM busybox\nRUN echo built-by-tug\n")),
    );
    expect(error).toBeUndefined();
    expect(text).toContain("built-by-tug");
    const evil = [
      `echo evil >${canary}/marker`,
      "grep -E '^(CapEff|Seccomp|NoNewPrivs):' /proc/self/status",
      'echo "interfaces: $(ls /sys/class/net)"',
      "mount -t tmpfs none /mnt && echo mounted",
      "mknod /disk b 8 0 && head -c 1 /disk && echo read the disk",
      "ls /run/docker.sock /var/run/tug.sock && echo found the socket",
      "echo 1 >/proc/sys/kernel/sysrq && echo wrote to the kernel",
      "head -c 3000000 /dev/zero >&3; exec 3>&-",
    ];
    const image = builds.context({
      Dockerfile: 'FROM busybox\nCOPY evil /evil\nENTRYPOINT ["/bin/sh", "/evil"]\n',
      evil: `exec 3>&1 1>&2\n${evil.join("\n")}\n`,
    });
    await daemon.ok(["build", "-q", "-t", "evil/frontend:3", image], { timeout: 60_000 });
    await daemon.ok(["tag", "evil/frontend:3", "evil/other:3"]);
    const refused = await builds.buildkit({ Dockerfile: "# syntax=evil/other:3\nFROM busybox\n" });
    expect(refused.stderr).toContain("the frontend evil/other is not run");
    expect(refused.stderr).toContain('{"builder":{"frontends":["evil/other"]}}');
    expect(refused.stderr).not.toContain("CapEff");
    const result = await builds.buildkit({ Dockerfile: "# syntax=evil/frontend:3\nFROM busybox\n" });
    expect(result.code, result.stderr).toBe(1);
    expect(result.stderr).toMatch(/CapEff:\s+00000000a80425fb/);
    expect(result.stderr).toMatch(/Seccomp:\s+2/);
    expect(result.stderr).toMatch(/interfaces: lo\s*$/m);
    expect(result.stderr).not.toMatch(/mounted|read the disk|found the socket|wrote to the kernel/);
    expect(readFileSync(join(canary, "marker"), "utf8")).not.toContain("evil");
    // What cannot be fetched is not replaced by something else.
    const missing = await builds.buildkit({
      Dockerfile: "# syntax=127.0.0.1:1/evil/frontend:2\nFROM busybox\nRUN echo still-by-tug\n",
    });
    expect(missing.code).toBe(1);
  },
);

attack("git: subdirectories, links, submodules and hooks do not lead out of a repository", async () => {
  const repository = server.repository("evil");
  writeFileSync(
    join(repository.path, "Dockerfile"),
    "FROM busybox\nCOPY . /all\nRUN cat /all/* 2>&1; echo fine\n",
  );
  mkdirSync(join(repository.path, "sub"));
  writeFileSync(join(repository.path, "sub/Dockerfile"), "FROM busybox\nRUN echo of-sub\n");
  symlinkSync(canary, join(repository.path, "link"));
  symlinkSync("../../../../..", join(repository.path, "up"));
  symlinkSync(join(canary, "marker"), join(repository.path, "file"));
  writeFileSync(join(repository.path, ".gitattributes"), "* filter=evil\n");
  repository.commit();
  const remote = async (fragment: string) => {
    const { text, error } = await builds.classic(new Uint8Array(), {
      remote: `${repository.url}${fragment}`,
    });
    expect(text + error).not.toContain(marker);
    return { text, error };
  };
  expect((await remote("#main:sub")).text).toContain("of-sub");
  expect((await remote("")).text).toContain("fine");
  for (const fragment of [
    "#main:..",
    "#main:../..",
    "#main:link",
    "#main:up",
    "#main:sub/../../..",
    `#main:${canary}`,
    "#../../x",
    "#--upload-pack=touch",
    "#main:link/../..",
  ])
    expect([fragment, (await remote(fragment)).error ?? "built"]).not.toEqual([fragment, "built"]);
  const sub = server.repository("outer");
  writeFileSync(
    join(sub.path, "Dockerfile"),
    "FROM busybox\nCOPY . /all\nRUN cat /all/*/* 2>&1; echo fine\n",
  );
  for (const [name, url] of [
    ["local", canary],
    ["file", `file://${canary}`],
    ["ext", "ext::sh -c touch% /tmp/tug-e2e-evil"],
    ["option", "-u./payload"],
  ]) {
    const commit = repository.git("rev-parse", "HEAD");
    writeFileSync(join(sub.path, ".gitmodules"), `[submodule "${name}"]\n\tpath = ${name}\n\turl = ${url}\n`);
    sub.git("update-index", "--add", "--cacheinfo", `160000,${commit},${name}`);
    sub.git("add", ".gitmodules", "Dockerfile");
    sub.git("commit", "--quiet", "-m", String(name));
    const { text, error } = await builds.classic(new Uint8Array(), { remote: sub.url });
    expect(text + error).not.toContain(marker);
    expect([name, error ?? "built"]).not.toEqual([name, "built"]);
    sub.git("rm", "--quiet", "--cached", String(name));
  }
  for (const url of [
    `file://${repository.path}`,
    "ext::sh -c id.git",
    "git://-oProxyCommand=id/x.git",
    `${canary}/x.git`,
  ])
    expect((await builds.classic(new Uint8Array(), { remote: url })).error).toBeTruthy();
  expect(readdirSync("/tmp").filter((name) => name === "tug-e2e-evil")).toEqual([]);
});
