import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gitAttributes } from "./git-info.ts";

/** Nobody's settings but these: what a commit needs. */
const env = {
  PATH: process.env["PATH"],
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "T",
  GIT_AUTHOR_EMAIL: "t@example.com",
  GIT_COMMITTER_NAME: "T",
  GIT_COMMITTER_EMAIL: "t@example.com",
};
let root: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "tug-git-info-")));
  mkdirSync(join(root, "app"));
  writeFileSync(join(root, "app", "file"), "");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function git(...args: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["git", "-C", root, ...args], { env });
  if (exitCode !== 0) throw new Error(stderr.toString());
  return stdout.toString().trim();
}

const ask = (variables: Readonly<Record<string, string>> = {}, provenance = true) => {
  const context = join(root, "app");
  const directories = { context: { path: context }, elsewhere: { path: "/" } };
  const dockerfile = join(context, "Dockerfile");
  return gitAttributes({ context, dockerfile, directories, provenance, env: { ...env, ...variables } });
};
const nothing = { attrs: {}, problem: "" };

test("a directory outside of any repository has nothing to tell", async () => {
  expect(await ask({ GIT_CEILING_DIRECTORIES: join(root, "..") })).toEqual(nothing);
});

test("a repository without a commit and a remote tells where the directories lie", async () => {
  git("init", "--quiet");
  expect(await ask()).toEqual({ attrs: { "vcs:localdir:context": "app" }, problem: "" });
});

test("the commit is told to who asked for it, as provenance, as labels, or both", async () => {
  git("init", "--quiet");
  git("add", ".");
  git("commit", "--quiet", "-m", "first");
  git("remote", "add", "upstream", "https://ann:t0k3n@example.com/app.git");
  const commit = git("rev-parse", "HEAD");
  const source = "https://xxxxx:xxxxx@example.com/app.git";
  const info = { "vcs:revision": commit, "vcs:source": source, "vcs:localdir:context": "app" };
  const labels = {
    "label:org.opencontainers.image.revision": commit,
    "label:org.opencontainers.image.source": source,
    "label:com.docker.image.source.entrypoint": "app/Dockerfile",
  };
  expect((await ask()).attrs).toEqual(info);
  expect((await ask({ BUILDX_GIT_LABELS: "1" })).attrs).toEqual({ ...labels, ...info });
  expect((await ask({ BUILDX_GIT_LABELS: "full", BUILDX_GIT_INFO: "false" })).attrs).toEqual(labels);
  expect((await ask({ BUILDX_GIT_LABELS: "true" }, false)).attrs).toEqual(labels);
  expect(await ask({}, false)).toEqual(nothing);
  // The remote that the branch follows goes first, and changes that are in no commit are told when that is asked.
  git("remote", "add", "mine", "/srv/mine");
  git("config", `branch.${git("symbolic-ref", "--short", "HEAD")}.remote`, "mine");
  git("config", `branch.${git("symbolic-ref", "--short", "HEAD")}.merge`, "refs/heads/main");
  writeFileSync(join(root, "app", "file"), "changed");
  expect((await ask({ BUILDX_GIT_CHECK_DIRTY: "1" })).attrs).toEqual({
    ...info,
    "vcs:revision": `${commit}-dirty`,
    "vcs:source": "/srv/mine",
  });
});

test("why a repository that is there cannot be asked is told", async () => {
  mkdirSync(join(root, "app", ".git"));
  const { attrs, problem } = await ask({ GIT_CEILING_DIRECTORIES: root });
  expect(attrs).toEqual({});
  expect(problem).toContain("not a git repository");
  expect((await ask({ PATH: "/nonexistent" })).problem).toContain("git");
});
