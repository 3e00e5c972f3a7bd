import { decompress } from "../../../base/lib/compression/compression.ts";
import { invalid, TugError } from "../../../base/lib/errors.ts";
import type { TarEntry } from "../../../base/lib/tar/entry.ts";
import { readTar, type TarMember } from "../../../base/lib/tar/read.ts";
import { PatternList } from "../../../base/spec/dockerfile/ignore.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from "../../../base/sys/at.ts";
import { layerComponents } from "../../../core/snapshot/apply/layer-path.ts";
import type { ContextEntry, ReceiveRequest } from "../../session.ts";
import type { HeldTree, KeptTrees } from "./kept-trees.ts";
import type { ReceivedFiles } from "./local.ts";
import type { TreeReceiver } from "./tree-receiver.ts";
import type { TreeIdentity } from "./tree-slot.ts";

export interface ArchiveFilesDeps {
  readonly trees: KeptTrees;
}

/** Holes of a sparse member are written as zeros; more of them than this nobody sends in earnest. */
const holeLimit = 1 << 30;

/**
 * The body of a classic `POST /build` (a tar, compressed or not) as the files of a session. It is unpacked once, all of it owned by root
 * as the classic builder has it, and is every directory that the build asks for. Disposing lets go of it.
 */
export class ArchiveFiles implements ReceivedFiles, Disposable {
  readonly #deps: ArchiveFilesDeps;
  readonly #identity: TreeIdentity;
  readonly #whole: HeldTree;

  private constructor(deps: ArchiveFilesDeps, identity: TreeIdentity, whole: HeldTree) {
    this.#deps = deps;
    this.#identity = identity;
    this.#whole = whole;
  }

  /** `id` names the build. Throws invalid-argument for what is no archive, or one that leaves its directory. */
  static async receive(
    deps: ArchiveFilesDeps,
    id: string,
    body: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<ArchiveFiles> {
    const identity = {
      owner: `archive ${id}`,
      key: "",
      description: "local source for context",
      lasting: false,
    };
    const whole = await deps.trees.receive(identity, signal, (into) => unpack(body, into, signal), {
      repeats: true,
    });
    return new ArchiveFiles(deps, identity, whole);
  }

  async tree(exclude: readonly string[], signal: AbortSignal): Promise<HeldTree> {
    const key = JSON.stringify(exclude);
    const left = kept(this.#whole, exclude);
    return await this.#deps.trees.derive(
      this.#whole,
      { ...this.#identity, key },
      ({ path }) => left.has(path),
      signal,
    );
  }

  /** For who takes it as any client's directory: everything is told again. */
  async receive({ into, exclude, onProgress }: ReceiveRequest): Promise<void> {
    const left = kept(this.#whole, exclude);
    let sent = 0;
    for (const [path, entry] of this.#whole.index.entries) {
      if (!left.has(path)) continue;
      const type = { file: S_IFREG, directory: S_IFDIR, symlink: S_IFLNK, fifo: S_IFIFO }[entry.kind];
      const xattrs = {};
      const told = { ...entry, mode: type | entry.mode, devmajor: 0, devminor: 0, xattrs };
      if (!into.entry(told)) continue;
      for await (const chunk of Bun.file(`${this.#whole.path}/${path}`).stream()) {
        sent += chunk.length;
        await into.content(path, chunk, false);
        onProgress(sent);
      }
      await into.content(path, new Uint8Array(), true);
    }
    await into.finish();
  }

  [Symbol.dispose](): void {
    this.#whole[Symbol.dispose]();
  }
}

/** Paths that the patterns leave, with the directories that they lie in. */
function kept(tree: HeldTree, exclude: readonly string[]): ReadonlySet<string> {
  const paths = tree.index.entries.keys();
  const excluded = new PatternList(exclude);
  if (excluded.empty) return new Set(paths);
  const left = new Set<string>();
  for (const path of paths) {
    if (excluded.matches(path)) continue;
    for (let at = path; at !== "" && !left.has(at); at = at.slice(0, Math.max(at.lastIndexOf("/"), 0)))
      left.add(at);
  }
  return left;
}

async function unpack(
  body: AsyncIterable<Uint8Array>,
  into: TreeReceiver,
  signal: AbortSignal,
): Promise<void> {
  try {
    // docker build -f - ends so over the classic protocol (ReplaceFileTarWrapper in its pkg/archive).
    for await (const member of readTar(decompress(body), { unpadded: true })) {
      signal.throwIfAborted();
      await unpackMember(member, into);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error && (error.name === "TarError" || error.name === "CompressionError"))
      throw invalid(`the build context is no archive that can be read: ${error.message}`, error);
    throw error;
  }
  await into.finish();
}

async function unpackMember(member: TarMember, into: TreeReceiver): Promise<void> {
  const { entry } = member;
  const components = componentsOf(entry.path);
  if (components.length === 0) return;
  const path = components.join("/");
  for (let length = 1; length < components.length; length++) {
    const parent = components.slice(0, length).join("/");
    if (!into.has(parent)) into.entry(asContext({ ...entry, kind: "directory", mode: 0o755 }, parent));
  }
  const linkPath = entry.kind === "link" ? componentsOf(entry.linkPath).join("/") : entry.linkPath;
  if (entry.kind === "unknown") throw invalid(`unhandled tar header type ${entry.typeflag.charCodeAt(0)}`);
  if (entry.kind === "link" && linkPath === path) return;
  if (!into.entry(asContext({ ...entry, linkPath }, path))) return;
  let written = 0;
  for await (const { offset, chunk } of member.pieces) {
    written += await fill(into, path, offset - written);
    await into.content(path, chunk, false);
    written += chunk.length;
  }
  await fill(into, path, entry.size - written);
  await into.content(path, new Uint8Array(), true);
}

/** What a layer may not have is corrupt; in a context it is the client's mistake. */
function componentsOf(path: string): readonly string[] {
  try {
    return layerComponents(path);
  } catch (error) {
    throw error instanceof TugError
      ? invalid(`cannot unpack the build context: ${error.message}`, error)
      : error;
  }
}

async function fill(into: TreeReceiver, path: string, length: number): Promise<number> {
  if (length > holeLimit)
    throw invalid(`${JSON.stringify(path)} of the build context has a hole of ${length} bytes`);
  const zeros = Buffer.alloc(Math.min(length, 1 << 20));
  for (let left = length; left > 0; left -= zeros.length) {
    await into.content(path, zeros.subarray(0, Math.min(left, zeros.length)), false);
  }
  return length;
}

function asContext(entry: TarEntry, path: string): ContextEntry {
  const types = {
    file: S_IFREG,
    link: S_IFREG,
    directory: S_IFDIR,
    symlink: S_IFLNK,
    fifo: S_IFIFO,
    char: S_IFCHR,
    block: S_IFBLK,
    unknown: 0,
  };
  return {
    path,
    mode: types[entry.kind] | (entry.mode & 0o7777),
    uid: 0,
    gid: 0,
    size: entry.size,
    mtime: entry.mtime,
    linkname: entry.kind === "link" || entry.kind === "symlink" ? entry.linkPath : "",
    devmajor: entry.deviceMajor,
    devminor: entry.deviceMinor,
    xattrs: Object.fromEntries(entry.xattrs),
  };
}
