import { writeSync } from "node:fs";
import { internal } from "../../../base/lib/errors.ts";
import type { Digest } from "../../../base/lib/ids.ts";
import { closeFd, fchmod, fchown, O, openat, unlinkat } from "../../../base/sys/at.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import type { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { tryLstatat } from "../../../base/sys/stat.ts";
import type { CopyAction, FileAction } from "../../graph.ts";
import { parseModeChange } from "./copy/chmod.ts";
import { Copier, stamp } from "./copy/copier.ts";
import type { Destination } from "./copy/dest.ts";
import type { EarlierCopy } from "./copy/earlier-copy.ts";
import { lookupOwner } from "./copy/owner.ts";
import { clearTheWay, removeAction, selectedBy, symlinkAction, wholeDirectory } from "./llb-actions.ts";
import { SelectionHash } from "./selection/content-digest.ts";
import { RootReader } from "./selection/tree-reader.ts";
import { isArchive, unpackArchive } from "./unpack.ts";

/**
 * Does what COPY, ADD, WORKDIR and heredocs say, in order. `sources` by `CopyAction.from`. With `digests` it returns for each copy what
 * `digestSelection` says of it; nothing may be unpacked then.
 */
export async function runActions(
  dest: Destination,
  sources: readonly RootedDir[],
  actions: readonly FileAction[],
  {
    digests = false,
    earlier,
  }: { readonly digests?: boolean; readonly earlier?: EarlierCopy | undefined } = {},
): Promise<readonly Digest[]> {
  const found: Digest[] = [];
  // What one copy made others could change.
  const alone =
    actions.every(({ kind }) => kind === "copy" || kind === "mkdir") &&
    actions.filter(({ kind }) => kind === "copy").length === 1;
  for (const action of actions) {
    switch (action.kind) {
      case "mkdir":
        dest.makeDirectories(
          dest.resolve(action.path),
          action.mode & 0o7777,
          lookupOwner(dest.root, action.owner),
        );
        break;
      case "write":
        writeAction(dest, action);
        break;
      case "symlink":
        symlinkAction(dest, action);
        break;
      case "remove":
        removeAction(dest, action);
        break;
      case "copy":
        found.push(
          ...(await copyAction(dest, sources, action, { digests, earlier: alone ? earlier : undefined })),
        );
        break;
    }
  }
  dest.finish();
  return found;
}

function writeAction(dest: Destination, action: FileAction & { readonly kind: "write" }): void {
  const owner = lookupOwner(dest.root, action.owner);
  const path = dest.resolve(action.path);
  const slash = path.lastIndexOf("/");
  if (path === "") throw new SystemError(21, "open", "/");
  dest.makeDirectories(slash < 0 ? "" : path.slice(0, slash), 0o755, owner);
  dest.parent(path, (dir, name) => {
    const there = tryLstatat(dir, name);
    if (there?.kind === "directory") throw new SystemError(21, "open", `/${path}`);
    if (there) unlinkat(dir, name);
    const fd = openat(dir, name, O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW, 0o600);
    try {
      const bytes = Buffer.from(action.content, action.encoding ?? "utf8");
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      if (owner) fchown(fd, owner.uid, owner.gid);
      fchmod(fd, action.mode & 0o7777);
    } finally {
      closeFd(fd);
    }
    stamp(dir, name, dest.time);
  });
}

async function copyAction(
  dest: Destination,
  sources: readonly RootedDir[],
  action: CopyAction,
  { digests, earlier }: { readonly digests: boolean; readonly earlier: EarlierCopy | undefined },
): Promise<readonly Digest[]> {
  const source = sources[action.from ?? -1];
  if (!source) throw internal(`${action.instruction} reads input ${action.from}, which was not handed over`);
  const owner = lookupOwner(dest.root, action.owner);
  const chmod =
    action.chmod === undefined ? (action.remote ? () => 0o600 : undefined) : parseModeChange(action.chmod);
  const hash = digests ? new SelectionHash() : undefined;
  using reader = new RootReader(source);
  const selected = action.sources.map((one) => selectedBy(reader, action, one));
  const [only, ...others] = selected.flat();
  const single = only?.kind === "directory" && others.length === 0 && !action.replace;
  const copier = new Copier(source, dest, {
    ...{ owner, chmod, time: dest.time, exclude: action.exclude, hash },
    earlier: single ? earlier : undefined,
  });
  for (const ofSource of selected) {
    for (const one of ofSource) {
      if (action.unpack && one.kind === "file" && (await isArchive(source, one.path))) {
        await unpackArchive(source, one.path, dest, dest.resolve(action.dest), owner);
      } else {
        const whole =
          action.whole && one.kind === "directory" ? wholeDirectory(dest, one, action.dest) : undefined;
        if (action.replace) clearTheWay(source, whole?.selected ?? one, dest, action.dest);
        copier.copy(whole?.selected ?? one, action.dest);
      }
    }
    hash?.sourceEnd();
  }
  return hash ? [hash.digest()] : [];
}
