import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { invalid } from "../../../base/lib/errors.ts";
import { randomId } from "../../../base/lib/ids.ts";
import {
  AT_FDCWD,
  closeFd,
  fdPath,
  futimes,
  lutimesat,
  O,
  openat,
  openat2,
  RESOLVE,
} from "../../../base/sys/at.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import { removeDirectory, removeTree } from "../../../base/sys/remove-tree.ts";
import { tryLstatat } from "../../../base/sys/stat.ts";
import { walkTree } from "../../../base/sys/walk.ts";
import type { GitCommand, GitRun } from "./git-command.ts";

export interface Checkout {
  /** Bare, with the commit in it. */
  readonly repository: string;
  readonly commit: string;
  /** Without credentials: what relative submodules are relative to, and what a kept .git says. */
  readonly remote: string;
  /** An empty directory. */
  readonly into: string;
  /** Clean; "" is the whole work tree. */
  readonly subdir: string;
  readonly keepGitDir: boolean;
  readonly submodules: boolean;
  /** Of every file, nanoseconds since 1970; undefined: as old as they are. */
  readonly time: bigint | undefined;
  readonly run: GitRun;
}

/** Makes the work tree of a commit, with its submodules; what a checkout leaves behind of git's own goes unless it is asked for. */
export async function checkoutCommit(git: GitCommand, checkout: Checkout): Promise<void> {
  await checkedOut(git, checkout);
  if (checkout.time !== undefined) setTimes(checkout.into, checkout.time);
}

/** Repositories whose ids are of SHA-256 take no others. */
export function objectFormat(commit: string): readonly string[] {
  return commit.length === 64 ? ["--object-format=sha256"] : [];
}

async function checkedOut(git: GitCommand, checkout: Checkout): Promise<void> {
  const { into, subdir, keepGitDir } = checkout;
  if (subdir === "") {
    await workTree(git, checkout, into);
    if (!keepGitDir) await dropGitDirectories(into);
    return;
  }
  const whole = join(into, `.checkout-${randomId()}`);
  mkdirSync(whole, { mode: 0o755 });
  await workTree(git, checkout, whole);
  await dropGitDirectories(whole);
  const fd = openSubdirectory(whole, subdir);
  try {
    for (const name of readdirSync(fdPath(fd))) renameSync(fdPath(fd, name), join(into, name));
  } finally {
    closeFd(fd);
  }
  await removeDirectory(whole);
}

async function workTree(git: GitCommand, checkout: Checkout, into: string): Promise<void> {
  const { repository, commit, remote, submodules, run } = checkout;
  const { signal } = run;
  const at = ["-C", into];
  await git.run(["init", "--quiet", ...objectFormat(commit), into], { signal });
  // Through the transport, not by linking objects, which has been a way to foreign files (CVE-2022-39253).
  await git.run([...at, "fetch", "--quiet", "--depth=1", "--no-tags", `file://${repository}`, commit], {
    signal,
    ownFiles: true,
  });
  await git.run([...at, "checkout", "--quiet", "--force", "--detach", commit], run);
  await git.run([...at, "remote", "add", "origin", remote], { signal });
  if (!submodules) return;
  const fd = openat(AT_FDCWD, into, O.RDONLY | O.DIRECTORY);
  try {
    // A link here would have git read what it leads to.
    if (tryLstatat(fd, ".gitmodules")?.kind !== "file") return;
  } finally {
    closeFd(fd);
  }
  await git.run([...at, "submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"], run);
}

/** A path of the work tree that may be a link, in any of its parts, leads nowhere. */
function openSubdirectory(whole: string, subdir: string): number {
  const root = openat(AT_FDCWD, whole, O.PATH | O.DIRECTORY);
  try {
    const resolve = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_XDEV;
    return openat2(root, subdir, O.RDONLY | O.DIRECTORY, resolve);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const why =
      error.code === "ELOOP" || error.code === "EXDEV"
        ? "it is a symbolic link"
        : error.code === "ENOTDIR"
          ? "it is not a directory"
          : "there is no such directory";
    throw invalid(`invalid subdirectory ${JSON.stringify(subdir)} of the repository: ${why}`, error);
  } finally {
    closeFd(root);
  }
}

/** ".git" is a name that no commit can hold, so what has it is git's own: the repository, and the pointers of submodules. */
async function dropGitDirectories(into: string): Promise<void> {
  const fd = openat(AT_FDCWD, into, O.RDONLY | O.DIRECTORY);
  try {
    await removeTree(fd, ".git");
    for (const { dir, name, skip } of walkTree(fd)) {
      if (name !== ".git") continue;
      skip();
      await removeTree(dir, name);
    }
  } finally {
    closeFd(fd);
  }
}

function setTimes(into: string, time: bigint): void {
  const times = { atime: time, mtime: time };
  const fd = openat(AT_FDCWD, into, O.RDONLY | O.DIRECTORY);
  try {
    for (const { dir, name } of walkTree(fd)) lutimesat(dir, name, times);
    futimes(fd, times);
  } finally {
    closeFd(fd);
  }
}
