import { readSync, writeSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { CompressionError } from "../../../base/lib/compression/compression.ts";
import { type ErrorCode, messageOf, TugError } from "../../../base/lib/errors.ts";
import { errnoOf } from "../../../base/lib/storage-error.ts";
import { TarError } from "../../../base/lib/tar/entry.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import type { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { runActions } from "./actions.ts";
import { applyChanges } from "./changes.ts";
import { digestSelection } from "./content-digest.ts";
import { readNotes, writeNotes } from "./copy-notes.ts";
import { Destination } from "./dest.ts";
import { EarlierCopy } from "./earlier-copy.ts";
import { CopyRefused } from "./nodes.ts";
import type {
  ActionsRequest,
  BuildFilesReply,
  BuildFilesRequest,
  ChangesRequest,
  DigestRequest,
  RestackRequest,
} from "./protocol.ts";
import { restackLayer } from "./restack.ts";
import { DigestedRoot, HashMemory } from "./root-digest.ts";
import { SourceMissing } from "./select.ts";
import { MountedTrees, openLinkable, openWritableDirectory } from "./trees.ts";

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
): Promise<Pick<BuildFilesReply & { readonly kind: "done" }, "digests" | "linked">> {
  const { epoch, actions, digests = false } = request;
  const trees = new MountedTrees(request.scratch);
  const root = trees.openWritable(request.root);
  const sources = request.sources.map((source) => trees.open(source));
  const { own, earlier, note } = seal(trees, root, request);
  const found = await runActions(new Destination(root, epoch, own), sources, actions, { digests, earlier });
  note?.();
  const linked = earlier?.linked && join(request.earlier?.trees ?? "", earlier.linked);
  return { digests: found, linked };
}

/** What is written beside the root, and the end of the right to write anything else. */
function seal(
  trees: MountedTrees,
  root: RootedDir,
  { own, earlier }: ActionsRequest,
): {
  readonly own?: RootedDir;
  readonly earlier?: EarlierCopy;
  /** To be called when all is copied. */
  readonly note?: () => void;
} {
  if (own === undefined) {
    trees.seal([root]);
    return {};
  }
  const dir = openWritableDirectory(own);
  if (!earlier) {
    trees.seal([root, dir]);
    return { own: dir };
  }
  const notes = openWritableDirectory(dirname(earlier.notes));
  const tree = relative(earlier.trees, own);
  const noted = earlier.link ? readNotes(earlier.notes) : undefined;
  const [from, to] = (noted && openLinkable(earlier.trees, [noted.tree, tree])) ?? [];
  const copy = noted && from && to ? new EarlierCopy(noted, { from, to }) : new EarlierCopy();
  trees.seal([root, dir, notes], from && to ? [from, to] : []);
  const note = () => copy.made && writeNotes(notes.fd, basename(earlier.notes), { tree, files: copy.made });
  return { own: dir, earlier: copy, note };
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
  const code = errnoOf(error);
  if (code === "ENOSPC" || code === "EDQUOT") return failed("resource-exhausted", messageOf(error));
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
