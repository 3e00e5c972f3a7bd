import { readSync, writeSync, writevSync } from "node:fs";
import { CompressionError, decompress } from "../../base/lib/compression/compression.ts";
import { gzipMember } from "../../base/lib/compression/gzip-member.ts";
import { type ErrorCode, invalid, messageOf, TugError } from "../../base/lib/errors.ts";
import { gathered } from "../../base/lib/gathered.ts";
import type { DiffId } from "../../base/lib/ids.ts";
import { isFull } from "../../base/lib/storage-error.ts";
import { TarError } from "../../base/lib/tar/entry.ts";
import { TarParser } from "../../base/lib/tar/parser.ts";
import { tarTrailer } from "../../base/lib/tar/writer.ts";
import { Digester } from "../../base/spec/oci/digest.ts";
import { closeFd, fdPath, O } from "../../base/sys/at.ts";
import { SystemError } from "../../base/sys/libc.ts";
import { confineWritesTo } from "../../base/sys/process/landlock.ts";
import { walkTree, withinMount } from "../../base/sys/walk.ts";
import { lookupUser } from "../runtime/user.ts";
import { LayerApplier } from "../snapshot/apply/apply-layer.ts";
import { listChanges } from "../snapshot/changes.ts";
import { diffTar } from "../snapshot/diff.ts";
import { TarNodes } from "../snapshot/tar-node.ts";
import { archiveOf, statView } from "./archive.ts";
import { Extractor } from "./extract.ts";
import { dataFrame, frameHead, frameHeader, jsonFrame } from "./frames.ts";
import { absolutePath, evaluateLinks } from "./paths.ts";
import type { FilesReply, FilesRequest, WrittenLayer } from "./protocol.ts";
import { ContainerEnded, type OpenView, openView } from "./view.ts";

/**
 * What the helper process does with one request. It works with blocking calls: nobody else lives in this process, and a file
 * system that hangs (a network volume) hangs this request alone.
 */
export async function serveFiles(input: number, output: number): Promise<number> {
  const out = new FrameWriter(output);
  const inbound = new Inbound(input);
  try {
    const request = inbound.request();
    const layer = await serve(request, inbound, out);
    out.reply({ kind: "done", layer });
    return 0;
  } catch (error) {
    out.reply(failure(error));
    return 1;
  }
}

async function serve(
  request: FilesRequest,
  inbound: Inbound,
  out: FrameWriter,
): Promise<WrittenLayer | undefined> {
  switch (request.op) {
    case "changes":
      out.reply({
        kind: "changes",
        changes: listChanges(request.layout, { ignored: new Set(request.ignored) }),
      });
      return undefined;
    case "layer":
      return writeLayer(request, out);
    default: {
      using view = openView(request.view);
      await serveView(request, view, inbound, out);
      return undefined;
    }
  }
}

async function serveView(
  request: FilesRequest & { readonly op: "stat" | "get" | "put" | "export" },
  view: OpenView,
  inbound: Inbound,
  out: FrameWriter,
): Promise<void> {
  switch (request.op) {
    case "stat":
      out.reply({ kind: "stat", stat: statView(view, request.path) });
      break;
    case "get": {
      using archive = archiveOf(view, request.path);
      out.reply({ kind: "stat", stat: archive.stat });
      for (const chunk of archive.tar()) out.data(chunk);
      break;
    }
    case "export":
      for (const chunk of wholeTree(view)) out.data(chunk);
      break;
    case "put":
      await put(request, view, inbound, out);
      break;
  }
}

function* wholeTree(view: OpenView): Generator<Uint8Array, void, undefined> {
  const nodes = new TarNodes({ wholeSeconds: true });
  const fd = view.root.open("/", O.RDONLY | O.DIRECTORY);
  try {
    for (const { dir, name, path, stat } of walkTree(fd, { crosses: withinMount })) {
      if (stat.kind !== "directory" && view.hides(stat, name)) continue;
      yield* nodes.member(dir, name, path, stat);
    }
    yield tarTrailer;
  } finally {
    closeFd(fd);
  }
}

async function put(
  request: FilesRequest & { readonly op: "put" },
  view: OpenView,
  inbound: Inbound,
  out: FrameWriter,
): Promise<void> {
  const { root } = view;
  const target = evaluateLinks(root, absolutePath(request.path), { mustExist: true });
  if (root.stat(target).kind !== "directory") throw invalid("extraction point is not a directory");
  refuseReadOnly(request, target);
  // From here on this thread can write nowhere else, should everything above be wrong.
  confineWritesTo(fdPath(root.fd));
  const owner = request.owner === undefined ? undefined : lookupUser(root, request.owner, []);
  using extractor = new Extractor(root, target, {
    noOverwriteDirNonDir: request.noOverwriteDirNonDir,
    owner: owner && { uid: owner.uid, gid: owner.gid },
  });
  const parser = new TarParser(extractor);
  out.reply({ kind: "ready" });
  let bytes = 0;
  for await (const chunk of decompress(inbound.rest())) {
    bytes += chunk.length;
    parser.push(chunk);
  }
  // Nothing at all is what some clients send for nothing to do.
  if (bytes > 0) parser.finish();
  extractor.finish();
}

/** In Docker's words; the mounts themselves are read-only too, should a link be swapped after this look. */
function refuseReadOnly(request: FilesRequest & { readonly op: "put" }, target: string): void {
  const mount = request.mounts
    .filter((one) => target === one.target || target.startsWith(`${one.target}/`))
    .sort((a, b) => b.target.length - a.target.length)[0];
  if (mount?.readonly) throw invalid("mounted volume is marked read-only");
  if (!mount && request.readonlyRootfs) throw invalid("container rootfs is marked read-only");
}

/** The changes as a gzip'd layer on the way out, and as files in the new snapshot: each is read once. */
function writeLayer(request: FilesRequest & { readonly op: "layer" }, out: FrameWriter): WrittenLayer {
  const { layout, ignored, target } = request;
  if (target) confineWritesTo(target.kind === "overlay" ? target.upper : target.tree);
  const digester = new Digester();
  using applier = target && new LayerApplier(target);
  const parser = applier && new TarParser(applier);
  const nodes = new TarNodes({ wholeSeconds: true });
  for (const chunk of gathered(diffTar(layout, { ignored: new Set(ignored) }, nodes))) {
    digester.update(chunk);
    out.data(...gzipMember(chunk));
    parser?.push(chunk);
  }
  parser?.finish();
  applier?.finish();
  return { diffId: digester.digest() as string as DiffId, size: nodes.contentSize };
}

function failure(error: unknown): FilesReply {
  const failed = (code: ErrorCode, message: string, reason?: "missing" | "ended"): FilesReply => ({
    kind: "failed",
    code,
    message,
    reason,
  });
  if (error instanceof ContainerEnded) return failed("conflict", error.message, "ended");
  if (error instanceof TugError) return failed(error.code, error.message);
  if (error instanceof TarError || error instanceof CompressionError) {
    return failed("internal", error.message);
  }
  if (isFull(error)) return failed("resource-exhausted", messageOf(error));
  if (!(error instanceof SystemError)) return failed("internal", messageOf(error));
  // How a path was looked up is nobody's business: Go's word for it is known.
  const told = error.syscall === "openat2" ? new SystemError(error.errno, "lstat", error.path) : error;
  return failed("internal", told.message, error.code === "ENOENT" ? "missing" : undefined);
}

/** The request, then the rest of standard input as it is. */
class Inbound {
  readonly #fd: number;
  #held: Buffer = Buffer.alloc(0);

  constructor(fd: number) {
    this.#fd = fd;
  }

  request(): FilesRequest {
    this.#fill(frameHead);
    const length = this.#held.readUInt32LE(0);
    this.#fill(frameHead + length);
    const text = this.#held.toString("utf8", frameHead, frameHead + length);
    this.#held = this.#held.subarray(frameHead + length);
    // Only the daemon writes here.
    return JSON.parse(text) as FilesRequest;
  }

  async *rest(): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#held.length > 0) yield this.#held;
    for (;;) {
      const chunk = this.#read();
      if (!chunk) return;
      yield chunk;
    }
  }

  #fill(length: number): void {
    while (this.#held.length < length) {
      const chunk = this.#read();
      if (!chunk) throw new Error("the request ends early");
      this.#held = Buffer.concat([this.#held, chunk]);
    }
  }

  #read(): Buffer | undefined {
    const buffer = Buffer.allocUnsafe(1 << 18);
    const bytesRead = readSync(this.#fd, buffer, 0, buffer.length, null);
    return bytesRead === 0 ? undefined : buffer.subarray(0, bytesRead);
  }
}

/** Writes frames with blocking calls; small pieces of data are gathered, and leave together with a large one. */
class FrameWriter {
  readonly #fd: number;
  #parts: Uint8Array[] = [];
  #length = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The pieces are kept until there is enough to write, so they must stay as they are. */
  data(...pieces: readonly Uint8Array[]): void {
    for (const bytes of pieces) {
      if (bytes.length === 0) continue;
      this.#parts.push(bytes);
      this.#length += bytes.length;
    }
    if (this.#length >= 1 << 18) this.flush();
  }

  flush(): void {
    if (this.#length === 0) return;
    this.#write([frameHeader(dataFrame, this.#length), ...this.#parts]);
    this.#parts = [];
    this.#length = 0;
  }

  reply(reply: FilesReply): void {
    this.flush();
    const bytes = Buffer.from(JSON.stringify(reply));
    this.#write([frameHeader(jsonFrame, bytes.length), bytes]);
  }

  #write(parts: readonly Uint8Array[]): void {
    // To copy many small parts costs less than to tell the kernel of each.
    const pieces = parts.length > gatherLimit ? [Buffer.concat(parts)] : parts;
    let taken = writevSync(this.#fd, pieces);
    for (const piece of pieces) {
      for (let at = Math.min(taken, piece.length); at < piece.length; ) at += writeSync(this.#fd, piece, at);
      taken = Math.max(taken - piece.length, 0);
    }
  }
}

const gatherLimit = 64;
