import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../base/lib/clock.ts";
import { messageOf } from "../../../base/lib/errors.ts";
import { silentLog } from "../../../base/lib/log.ts";
import type { GitSource } from "../../graph.ts";
import type { BuildSession } from "../../session.ts";
import { GitServer, type Repository } from "../testdata/git-server.ts";
import { sessionOf, stepOf, TestSteps } from "../testdata/steps.ts";
import { GitRunner } from "./git.ts";
import { checkRemote, findRef, withoutSecrets } from "./git-remote.ts";

// Git is many small programs: on a busy machine they take their time.
setDefaultTimeout(60_000);
const missing = GitServer.missing();
if (missing) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== undefined)("git sources", () => {
  let steps: TestSteps;
  let server: GitServer;
  let runner: GitRunner;
  let app: Repository;
  let first = "";
  let second = "";

  beforeAll(async () => {
    steps = await TestSteps.open();
    server = new GitServer();
    runner = new GitRunner({
      root: join(steps.root, "git"),
      snapshots: steps.snapshots,
      clock: systemClock,
      log: silentLog,
    });
    const other = server.repository("library");
    writeFileSync(join(other.path, "lib.c"), "int lib;");
    const library = other.commit();
    app = server.repository("app");
    mkdirSync(join(app.path, "dir/sub"), { recursive: true });
    writeFileSync(join(app.path, "Dockerfile"), "FROM scratch");
    writeFileSync(join(app.path, "dir/sub/file"), "one", { mode: 0o755 });
    symlinkSync("/etc", join(app.path, "dir/out"));
    symlinkSync("sub", join(app.path, "dir/in"));
    first = app.commit("first");
    app.git("tag", "-a", "v1", "-m", "annotated");
    writeFileSync(join(app.path, "dir/sub/file"), "two");
    writeFileSync(
      join(app.path, ".gitmodules"),
      '[submodule "lib"]\n\tpath = lib\n\turl = ../../library/.git\n',
    );
    mkdirSync(join(app.path, "lib"));
    app.git("update-index", "--add", "--cacheinfo", `160000,${library},lib`);
    app.git("add", ".gitmodules", "dir");
    app.git("commit", "--quiet", "-m", "second");
    second = app.git("rev-parse", "HEAD");
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await steps[Symbol.asyncDispose]();
  });

  function step(more: Partial<GitSource> = {}, session: Partial<BuildSession> = {}) {
    const op: GitSource = {
      kind: "git",
      remote: app.url,
      ref: "",
      subdir: "",
      keepGitDir: false,
      submodules: true,
      mtime: "checkout",
      checksum: undefined,
      ...more,
    };
    return stepOf(op, [], { session: sessionOf({ signal: new AbortController().signal, ...session }) });
  }

  async function tree<R>(look: (root: string) => R, more: Partial<GitSource> = {}): Promise<R> {
    return steps.look(await runner.snapshot(step(more)), look);
  }

  async function refusal(more: Partial<GitSource>): Promise<string> {
    return await runner.snapshot(step(more)).then(() => "it went well", messageOf);
  }

  test("a remote's head is a work tree with its submodules and without git's own files", async () => {
    await tree((root) => {
      expect(readdirSync(root).sort()).toEqual([".gitmodules", "Dockerfile", "dir", "lib"]);
      expect(readdirSync(join(root, "lib"))).toEqual(["lib.c"]);
      expect(readFileSync(join(root, "dir/sub/file"), "utf8")).toBe("two");
      expect(statSync(join(root, "dir/sub/file")).mode & 0o7777).toBe(0o755);
    });
  });

  test("branches, annotated tags and commits lead to their commit, which is the key", async () => {
    const before = (await runner.list()).length;
    const keys = await Promise.all(
      ["", "main", "refs/heads/main", second].map((ref) => runner.key(step({ ref }))),
    );
    expect(new Set(keys).size).toBe(1);
    const old = await Promise.all(["v1", first].map((ref) => runner.key(step({ ref }))));
    expect(new Set([...old, ...keys]).size).toBe(2);
    for (const ref of ["v1", first])
      await tree((root) => expect(readFileSync(join(root, "dir/sub/file"), "utf8")).toBe("one"), { ref });
    expect(await refusal({ ref: "nope" })).toBe("repository does not contain ref nope");
    expect(await refusal({ ref: "0".repeat(40) })).toContain("failed to fetch remote");
    // One for the remote, which other tests have used as well.
    expect((await runner.list()).length).toBeLessThanOrEqual(before + 1);
  });

  test("what is here already is not asked for again", async () => {
    await tree(() => undefined, { ref: first });
    const before = server.authorizations.length;
    await tree(() => undefined, { ref: first });
    expect(server.authorizations.length).toBe(before);
  });

  test("a checksum is compared with the commit", async () => {
    await tree((root) => expect(existsSync(join(root, "Dockerfile"))).toBe(true), {
      checksum: second.slice(0, 12),
    });
    expect(await refusal({ checksum: "abcdef0" })).toBe(`expected checksum to match abcdef0, got ${second}`);
    expect(await refusal({ checksum: "HEAD" })).toContain("expected hex commit hash");
    // Of an annotated tag it may be the tag's own.
    const tag = app.git("rev-parse", "v1");
    for (const checksum of [tag, first.slice(0, 9)]) await tree(() => undefined, { ref: "v1", checksum });
    expect(await refusal({ ref: "v1", checksum: "abcdef0" })).toContain(`got ${first} or ${tag}`);
  });

  test("submodules are left out when they are not wanted, which is another tree", async () => {
    await tree((root) => expect(readdirSync(join(root, "lib"))).toEqual([]), { submodules: false });
    expect(await runner.key(step({ submodules: false }))).not.toBe(await runner.key(step()));
  });

  test("files may be as old as their commit, links and directories too", async () => {
    const time = Number(app.git("log", "-1", "--format=%ct", second));
    for (const more of [{}, { subdir: "dir" }, { keepGitDir: true }])
      await tree(
        (root) => {
          const found = Bun.spawnSync(["find", root, "-printf", "%Ts\n"]).stdout.toString();
          expect(new Set(found.trim().split("\n"))).toEqual(new Set([String(time)]));
        },
        { mtime: "commit", ...more },
      );
    expect(await runner.key(step({ mtime: "commit" }))).not.toBe(await runner.key(step()));
  });

  test("files of git-lfs stay the pointers that they are, whatever the host has configured", async () => {
    const large = server.repository("large");
    const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    writeFileSync(join(large.path, ".gitattributes"), "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    writeFileSync(join(large.path, "x.bin"), pointer);
    large.commit();
    await tree((root) => expect(readFileSync(join(root, "x.bin"), "utf8")).toBe(pointer), {
      remote: large.url,
    });
  });

  test("a repository whose ids are of SHA-256 is one like others", async () => {
    const wide = server.repository("wide", "--object-format=sha256");
    writeFileSync(join(wide.path, "f"), "wide");
    const commit = wide.commit();
    expect(commit).toHaveLength(64);
    for (const ref of ["", commit])
      await tree((root) => expect(readFileSync(join(root, "f"), "utf8")).toBe("wide"), {
        remote: wide.url,
        ref,
      });
  });

  test("the repository is kept when it is asked for, and names the remote without credentials", async () => {
    const remote = app.url.replace("//", "//user:geheim@");
    await tree(
      (root) => {
        expect(readFileSync(join(root, ".git/HEAD"), "utf8").trim()).toBe(second);
        const all = Bun.spawnSync(["grep", "-r", "geheim", join(root, ".git")]).stdout.toString();
        expect(all).toBe("");
        expect(readFileSync(join(root, ".git/config"), "utf8")).toContain("/app/.git");
      },
      { remote, keepGitDir: true },
    );
  });

  test("a subdirectory is the tree, unless it leads out or is a link", async () => {
    await tree((root) => expect(readdirSync(root)).toEqual(["file"]), { subdir: "/dir/sub/" });
    expect(await refusal({ subdir: "../.." })).toContain("it leads out of the repository");
    expect(await refusal({ subdir: "dir/../../.." })).toContain("it leads out of the repository");
    for (const subdir of ["dir/out", "dir/in", "dir/out/ssh"])
      expect(await refusal({ subdir })).toContain("it is a symbolic link");
    expect(await refusal({ subdir: "none" })).toContain("there is no such directory");
    expect(await refusal({ subdir: "Dockerfile" })).toContain("it is not a directory");
  });

  test("nothing that a repository brings is executed, and no submodule reads the host's files", async () => {
    const canary = join(steps.root, "canary");
    const evil = server.repository("evil");
    writeFileSync(join(evil.path, "f"), "f");
    writeFileSync(join(evil.path, ".gitattributes"), "* filter=run\n");
    evil.git("config", "filter.run.smudge", `touch ${canary}`);
    writeFileSync(join(evil.path, ".git/hooks/post-checkout"), `#!/bin/sh\ntouch ${canary}\n`, {
      mode: 0o755,
    });
    evil.commit();
    await tree((root) => expect(readFileSync(join(root, "f"), "utf8")).toBe("f"), { remote: evil.url });
    const secret = server.repository("secret");
    writeFileSync(join(secret.path, "key"), "of the host");
    const commit = secret.commit();
    const urls = [secret.path, `file://${secret.path}`, `ext::touch ${canary}`, "-u./payload"];
    for (const [index, url] of urls.entries()) {
      const update = index === 0 ? `\tupdate = !touch ${canary}\n` : "";
      writeFileSync(join(evil.path, ".gitmodules"), `[submodule "m"]\n\tpath = m\n\turl = ${url}\n${update}`);
      evil.git("update-index", "--add", "--cacheinfo", `160000,${commit},m`);
      evil.git("add", ".gitmodules");
      evil.git("commit", "--quiet", "-m", "m");
      expect(await refusal({ remote: evil.url })).toContain("git ");
    }
    expect(existsSync(canary)).toBe(false);
  });

  test("names and paths of submodules lead nowhere else, and a checkout that writes git's own files runs nothing", async () => {
    const canary = join(steps.root, "canary-2");
    const hook = `#!/bin/sh\ntouch ${canary}\n`;
    const part = server.repository("part");
    mkdirSync(join(part.path, "hooks"));
    writeFileSync(join(part.path, "hooks/post-checkout"), hook, { mode: 0o755 });
    const commit = part.commit();
    // CVE-2018-11235 (a name), CVE-2025-48384 (a carriage return that is read away), CVE-2019-19604 (what a submodule is told to run).
    const modules = {
      name: `[submodule "../../hooks"]\n\tpath = m\n\turl = ${part.url}\n`,
      "carriage-return": `[submodule "m"]\n\tpath = "m\r"\n\turl = ${part.url}\n`,
      update: `[submodule "m"]\n\tpath = m\n\turl = ${part.url}\n\tupdate = !touch ${canary}\n`,
    };
    for (const [name, text] of Object.entries(modules)) {
      const evil = server.repository(name);
      writeFileSync(join(evil.path, ".gitmodules"), text);
      symlinkSync(".git/modules/m/hooks", join(evil.path, "m"));
      evil.git("add", ".gitmodules");
      evil.git("update-index", "--add", "--cacheinfo", `160000,${commit},m${name === "update" ? "" : "\r"}`);
      if (name === "carriage-return") evil.git("add", "m");
      evil.git("commit", "--quiet", "-m", "m");
      await runner.snapshot(step({ remote: evil.url })).catch(messageOf);
      expect(existsSync(canary)).toBe(false);
    }
  });

  test("a commit with links in place of git's own names is refused", async () => {
    const linked = server.repository("linked");
    writeFileSync(join(linked.path, "target"), "/etc");
    const target = linked.git("hash-object", "-w", "target");
    for (const name of [".git", ".gitmodules"]) {
      // No command that works on files makes such a tree.
      const { stdout } = Bun.spawnSync(["git", "-C", linked.path, "mktree"], {
        stdin: Buffer.from(`120000 blob ${target}\t${name}\n100644 blob ${target}\tf\n`),
      });
      const commit = linked.git("commit-tree", "-m", name, stdout.toString().trim());
      linked.git("update-ref", "refs/heads/main", commit);
      expect(await refusal({ remote: linked.url })).toContain(`invalid path '${name}'`);
    }
  });

  test("a secret of the session is sent to the remote's host, and a wrong one asks nobody at the terminal", async () => {
    const value = `basic ${btoa("x-access-token:t0ken")}`;
    server.secret = value;
    try {
      const session = {
        secret: async (id: string) => (id === "GIT_AUTH_TOKEN" ? Buffer.from("t0ken\n") : undefined),
      };
      const asked = server.authorizations.length;
      expect(await runner.key(step({}, session))).toMatch(/^sha256:/);
      expect(new Set(server.authorizations.slice(asked))).toEqual(new Set([value]));
      expect(await refusal({})).toContain("could not read Username");
    } finally {
      server.secret = undefined;
    }
  });

  test("a secret goes to no other host, wherever the remote redirects to", async () => {
    const other = server.url.replace("127.0.0.1", "localhost");
    const seen: (string | null)[] = [];
    const front = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) => {
        const { pathname, search } = new URL(request.url);
        seen.push(request.headers.get("authorization"));
        return Response.redirect(`${other}${pathname}${search}`, 302);
      },
    });
    try {
      const remote = `${front.url.origin}/app/.git`;
      const value = `basic ${btoa("x-access-token:t0ken")}`;
      const session = {
        secret: async (id: string) => (id === "GIT_AUTH_TOKEN" ? Buffer.from("t0ken") : undefined),
      };
      const before = server.authorizations.length;
      await runner.snapshot(step({ remote }, session));
      expect(seen).toContain(value);
      expect(new Set(server.authorizations.slice(before))).toEqual(new Set([null]));
      const header = {
        secret: async (id: string) => (id === "GIT_AUTH_HEADER" ? Buffer.from("bearer t0ken") : undefined),
      };
      const refused = await runner.key(step({ remote }, header)).catch(messageOf);
      expect(refused).toContain("the server redirects, which the secret GIT_AUTH_HEADER does not follow");
      expect(new Set(server.authorizations.slice(before))).toEqual(new Set([null]));
      // The same host under another path may ask for it.
      server.secret = value.replace("basic", "Basic");
      await runner.snapshot(step({ remote: `${server.url}/moved/app/.git` }, session));
      expect(server.authorizations.at(-1)).toBe(server.secret);
    } finally {
      server.secret = undefined;
      await front.stop(true);
    }
  });

  test("a fetch that is cancelled ends", async () => {
    const slow = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Promise<Response>(() => undefined),
    });
    const stop = new AbortController();
    try {
      const waiting = runner.key({ ...step({ remote: `${slow.url.origin}/x` }), signal: stop.signal });
      setTimeout(() => stop.abort(new Error("stopped")), 50);
      expect(await waiting.catch(messageOf)).toBe("stopped");
    } finally {
      await slow.stop(true);
    }
  });

  test("a repository that was left half made is made anew", async () => {
    const [id = ""] = (await runner.list()).map((one) => one.id);
    rmSync(join(steps.root, "git/repositories", id, "HEAD"));
    await tree((root) => expect(existsSync(join(root, "lib/lib.c"))).toBe(true));
    await runner.remove(id);
    await tree((root) => expect(existsSync(join(root, "lib/lib.c"))).toBe(true));
  });
});

test("remotes and refs that git could take for something else are refused", () => {
  for (const remote of [
    "--upload-pack=touch /tmp/x",
    "file:///etc",
    "/etc",
    "../repo",
    "ext::sh -c id",
    "ssh://-oProxyCommand=id/x",
    "ssh://git@-oProxyCommand=id/x",
    "git@-oProxyCommand=id:x",
    "https://host/x\nurl = /etc",
  ])
    expect(() => checkRemote(remote, "")).toThrow("invalid git URL");
  for (const ref of ["--output=x", "-x", "a..b", "a b", "refs/heads/*", "a:b"])
    expect(() => checkRemote("https://h/r", ref)).toThrow("invalid git ref");
  for (const remote of ["https://h/r.git", "git@github.com:a/b.git", "ssh://git@h:22/r", "git://h/r"])
    expect(() => checkRemote(remote, "feature/x-1.2")).not.toThrow();
});

test("what a work tree keeps of its remote is an address that works, and no secret", () => {
  const kept: Readonly<Record<string, string>> = {
    "ssh://git@host:2222/a/b.git": "ssh://git@host:2222/a/b.git",
    "ssh://git:geheim@host:2222/a.git": "ssh://git@host:2222/a.git",
    "git@host:a/b.git": "git@host:a/b.git",
    "https://t0k3n@host/a.git": "https://host/a.git",
    "https://user:ge@heim@host:8443/a@b.git": "https://host:8443/a@b.git",
    "http://host/a.git": "http://host/a.git",
  };
  for (const [remote, expected] of Object.entries(kept)) expect(withoutSecrets(remote)).toBe(expected);
});

test("of equal names the branch is meant, and an annotated tag stands for its commit", () => {
  const sha = (digit: string) => digit.repeat(40);
  const listing = `${sha("1")}\trefs/tags/x\n${sha("2")}\trefs/tags/x^{}\n${sha("3")}\trefs/heads/x\n`;
  expect(findRef(listing, "x")?.sha).toBe(sha("3"));
  expect(findRef(listing.replace("heads/x", "heads/y"), "x")?.sha).toBe(sha("2"));
  expect(findRef(listing, "z")).toBeUndefined();
});
