import type { Digest } from "../../base/lib/ids.ts";
import { digestOfValue } from "../canonical.ts";
import type { Op, SourceOp, Vertex } from "../graph.ts";
import type { ContentKeys } from "../run/runner.ts";

type StepOp = Exclude<Op, SourceOp>;

/** What a step reads of an input when only that decides: its files, not how they came to be. */
export interface ContentPart {
  readonly input: number;
  readonly selection: Parameters<ContentKeys["digest"]>[1];
}

export function isSource(op: Op): op is SourceOp {
  return op.kind !== "exec" && op.kind !== "file" && op.kind !== "restack" && op.kind !== "changes";
}

/**
 * The operation as keys have it: all of it, but what must not matter. Of secrets and agents only how they are mounted is in it, never a
 * value; proxies and bounds of resources say how a step runs, not what it makes.
 */
function definition(op: StepOp): object {
  if (op.kind !== "exec") return op;
  const { proxyEnv: _, resources: __, ...rest } = op;
  return rest;
}

/** Key of a step by the keys of what it reads: known without looking at a file. */
export function fastKey(op: StepOp, inputs: readonly Digest[]): Digest {
  return digestOfValue({ step: definition(op), inputs });
}

/** Key of a step by what it reads of some of its inputs (`parts`, with their digests); the others stand by their keys. */
export function contentKey(
  vertex: Vertex,
  inputs: readonly Digest[],
  parts: readonly (ContentPart & { readonly digest: Digest })[],
): Digest {
  const { op } = vertex;
  const byContent = contentOnly(vertex, parts);
  return digestOfValue({
    step: isSource(op) ? op : definition(op),
    inputs: inputs.map((key, index) => (byContent.has(index) ? "" : key)),
    content: parts.map(({ digest }) => digest),
  });
}

/** Inputs of which nothing but the parts is read. */
export function contentOnly(vertex: Vertex, parts: readonly ContentPart[]): ReadonlySet<number> {
  const { op } = vertex;
  const whole = new Set<number>();
  if ((op.kind === "exec" || op.kind === "file") && op.root !== undefined) whole.add(op.root);
  if (op.kind === "exec")
    for (const mount of op.mounts)
      if (mount.kind === "cache" && mount.from !== undefined) whole.add(mount.from);
  return new Set(parts.map(({ input }) => input).filter((input) => !whole.has(input)));
}

/** What a step's content key is made of; empty: it has none. */
export function contentParts(vertex: Vertex): readonly ContentPart[] {
  const { op } = vertex;
  const parts: ContentPart[] = [];
  // Of a link that is copied as it is, and of a directory's own metadata, the parts say nothing.
  const byName =
    op.kind === "file" && op.actions.some((one) => one.kind === "copy" && (one.asLink || one.whole));
  if (op.kind === "file" && !byName) {
    for (const action of op.actions) {
      if (action.kind !== "copy" || action.from === undefined) continue;
      const { sources, wildcard, exclude, parents } = action;
      parts.push({ input: action.from, selection: { sources, wildcard, exclude, parents } });
    }
  }
  if (op.kind === "exec") {
    for (const mount of op.mounts) {
      // An image's key says already what is in it.
      if (mount.kind !== "bind" || mount.from === undefined || isImage(vertex.inputs[mount.from])) continue;
      const sources = [mount.source];
      parts.push({
        input: mount.from,
        selection: { sources, wildcard: false, exclude: [], parents: false },
      });
    }
  }
  return parts;
}

function isImage(vertex: Vertex | undefined): boolean {
  return vertex?.op.kind === "image" || vertex?.op.kind === "oci-layout";
}

/** A source's key with what of its tree is not in the key that its runner gives. */
export function sourceKey(op: SourceOp, key: Digest): Digest {
  if (op.kind === "http") return digestOfValue({ http: op.filename, key });
  if (op.kind === "git") {
    const { subdir, keepGitDir, submodules, mtime } = op;
    return digestOfValue({ git: subdir, keepGitDir, submodules, mtime, key });
  }
  return key;
}
