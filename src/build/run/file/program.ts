import { readSync, rmSync, writeSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { CompressionError } from "../../../base/lib/compression/compression.ts";
import { type ErrorCode, messageOf, TugError } from "../../../base/lib/errors.ts";
import { isFull } from "../../../base/lib/storage-error.ts";
import { TarError } from "../../../base/lib/tar/entry.ts";
import { fdPath } from "../../../base/sys/at.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { runActions } from "./actions.ts";
import { applyChanges } from "./changes.ts";
import { readNotes, writeNotes } from "./copy/copy-notes.ts";
import { Destination } from "./copy/dest.ts";
import { EarlierCopy } from "./copy/earlier-copy.ts";
import { CopyRefused } from "./copy/nodes.ts";
import type {
  ActionsRequest,
  BuildFilesReply,
  BuildFilesRequest,
  ChangesRequest,
  DigestRequest,
  EarlierRequest,
  RestackRequest,
} from "./protocol.ts";
import { restackLayer } from "./restack.ts";
import { digestSelection } from "./selection/content-digest.ts";
import { DigestedRoot, HashMemory } from "./selection/root-digest.ts";
import { SourceMissing } from "./selection/select.ts";
import { MountedTrees, openWritableDirectory } from "./trees.ts";

/** What the helper process does with its one request, with blocking calls; the process must have umask 0. */
export async function serveBuildFiles(input: number, output: number): Promise<number> {
  const reply = await answer(input);
  const bytes = Buffer.from(JSON.stringify(reply));
  for (let at = 0; at < bytes.length; ) at += writeSync(output, bytes, at);
  return reply.kind === "done" ? 0 : 1;
}

async function answer(input: number): Promise<BuildFilesReply> {
  try {
    const text = readAll(input);
    // A spare helper that was not needed.
    if (text === "") return { kind: "done" };
    // Only the daemon writes here.
    const request = JSON.parse(text) as BuildFilesRequest;
    switch (request.op) {
      case "actions":
        return { kind: "done", ...(await doActions(request)) };
      case "digest":
        return { kind: "done", digest: await doDigest(request) };
      case "changes":
        doChanges(request);
        return { kind: "done" };
      case "restack":
        return { kind: "done", linked: doRestack(request) };
    }
  } catch (error) {
    return failure(error);
  }
}

async function doActions(
  request: ActionsRequest,
): Promise<Pick<BuildFilesReply & { readonly kind: "done" }, "digests" | "base">> {
  const { epoch, actions, digests = false, own } = request;
  const trees = new MountedTrees(request.scratch);
  const root = trees.openWritable(request.root);
  const sources = request.sources.map((source) => trees.open(source));
  const made = own === undefined ? undefined : openWritableDirectory(own);
  const history = made && request.earlier && openHistory(request.earlier);
  trees.seal([root, ...(made ? [made] : []), ...(history ? [history.notes] : [])]);
  const earlier = history?.earlier;
  const found = await runActions(new Destination(root, epoch, made), sources, actions, { digests, earlier });
  return { digests: found, base: made && history && settle(history, made, root, request) };
}

interface History {
  readonly earlier: EarlierCopy;
  /** Path of its tree. */
  readonly tree: string | undefined;
  /** The directory of notes. */
  readonly notes: RootedDir;
}

function openHistory({ notes, trees, use }: EarlierRequest): History {
  const directory = openWritableDirectory(dirname(notes));
  const copied = use ? readNotes(notes) : undefined;
  const tree = copied && join(trees, copied.tree);
  const dir = tree === undefined ? undefined : openIfThere(tree);
  const earlier = copied && dir ? new EarlierCopy({ copied, tree: dir }) : new EarlierCopy();
  return { earlier, tree, notes: directory };
}

/** Undefined for a tree that was pruned. */
function openIfThere(path: string): RootedDir | undefined {
  try {
    return RootedDir.open(path);
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Notes what was copied for the next run; what completes it, or "unfit". */
function settle(
  { earlier, tree, notes }: History,
  made: RootedDir,
  root: RootedDir,
  { earlier: asked, own = "" }: ActionsRequest,
): string | undefined {
  if (!asked) return undefined;
  const outcome = earlier.finish(made, root);
  if (outcome === "unfit") return "unfit";
  const name = basename(asked.notes);
  const { next } = earlier;
  if (next === undefined) rmSync(fdPath(notes.fd, name), { force: true });
  else if (next !== "as before")
    writeNotes(notes.fd, name, { tree: relative(asked.trees, own), files: next });
  return outcome === "completed" ? tree : undefined;
}

async function doDigest(request: DigestRequest) {
  const trees = new MountedTrees(request.scratch);
  const root = trees.open(request.tree);
  const memory = await HashMemory.load(request.cache);
  using dir = openWritableDirectory(dirname(request.cache));
  trees.seal([dir]);
  using tree = new DigestedRoot(root, memory);
  const steps = digestSelection(tree, request.selection);
  for (;;) {
    const step = steps.next();
    if (!step.done) continue;
    memory.save(dir.fd, basename(request.cache));
    return step.value;
  }
}

function doChanges(request: ChangesRequest): void {
  const trees = new MountedTrees(request.scratch);
  const root = trees.openWritable(request.root);
  const lower = request.lower && trees.open(request.lower);
  const upper = trees.open(request.upper);
  trees.seal([root]);
  applyChanges(root.fd, lower?.fd, upper.fd);
}

function doRestack({ layer, into }: RestackRequest): string | undefined {
  // Making a hard link asks for the right to move names between the two directories.
  return restackLayer(layer, into) ? layer : undefined;
}

function failure(error: unknown): BuildFilesReply {
  const failed = (code: ErrorCode, message: string): BuildFilesReply => ({ kind: "failed", code, message });
  if (error instanceof SourceMissing)
    return { kind: "failed", code: "not-found", message: error.message, missing: error.path };
  if (error instanceof TugError) return failed(error.code, error.message);
  if (error instanceof CopyRefused || error instanceof TarError || error instanceof CompressionError)
    return failed("invalid-argument", messageOf(error));
  if (isFull(error)) return failed("resource-exhausted", messageOf(error));
  if (!(error instanceof SystemError)) return failed("internal", messageOf(error));
  // How a path was looked up is nobody's business: Go's word for it is known.
  const told = error.syscall.startsWith("openat") ? new SystemError(error.errno, "lstat", error.path) : error;
  return failed(askedFor.includes(error.code) ? "invalid-argument" : "internal", told.message);
}

/** What a Dockerfile or a tree brings about, not the host. */
const askedFor: readonly string[] = [
  "ENOTDIR",
  "EISDIR",
  "ELOOP",
  "ENAMETOOLONG",
  "EINVAL",
  "EPERM",
  "ENOENT",
];

function readAll(fd: number): string {
  const parts: Buffer[] = [];
  for (;;) {
    const buffer = Buffer.allocUnsafe(1 << 16);
    const length = readSync(fd, buffer, 0, buffer.length, null);
    if (length === 0) return Buffer.concat(parts).toString("utf8");
    parts.push(buffer.subarray(0, length));
  }
}
