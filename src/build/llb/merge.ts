import type { Vertex } from "../graph.ts";
import { Inputs } from "../plan/vertices.ts";
import type { OpContext } from "./context.ts";
import { asRoot, emptyTree, layersOf, onTop, type Tree } from "./tree.ts";

/**
 * Trees put on top of each other (MergeOp). What an input added to nothing is put there as it is; of one that began from an image, the image first, as a
 * layer of its own, and then what each of its steps changed, removals included.
 */
export function mergeTrees(context: OpContext, parts: readonly Tree[]): Tree {
  const trees = parts
    .map((part) => asRoot(part, context.platform))
    .filter(({ vertex }) => vertex !== undefined);
  const [first = emptyTree, ...rest] = trees;
  return rest.reduce((below, part) => putOn(context, below, part), first);
}

function putOn(context: OpContext, below: Tree, part: Tree): Tree {
  let tree = below;
  let lower: Vertex | undefined;
  const own = layersOf(part);
  const bottom = bottomOf(part, own);
  for (const upper of bottom ? [bottom, ...own] : own) {
    const { op } = upper;
    // A difference on nothing shows no removals: it is taken again, onto the tree.
    const apart = op.kind === "changes" && op.root === undefined;
    const [from, to] = apart ? [inputOf(upper, op.lower), inputOf(upper, op.upper) ?? upper] : [lower, upper];
    tree = changed(context, tree, from, to);
    lower = upper;
  }
  return tree;
}

/** The image that a tree began from, as a vertex. */
function bottomOf(part: Tree, own: readonly Vertex[]): Vertex | undefined {
  if (!part.base || part.base.layers.length === 0) return undefined;
  const [first] = own;
  if (!first) return part.vertex;
  const { op } = first;
  const mounted = op.kind === "exec" && op.result !== undefined && op.result >= 0;
  return inputOf(first, mounted ? mountRoot(first) : rootOf(first));
}

function inputOf(vertex: Vertex, index: number | undefined): Vertex | undefined {
  return index === undefined ? undefined : vertex.inputs[index];
}

function rootOf({ op }: Vertex): number | undefined {
  return op.kind === "exec" || op.kind === "file" || op.kind === "restack" || op.kind === "changes"
    ? op.root
    : undefined;
}

function mountRoot({ op }: Vertex): number | undefined {
  const mount = op.kind === "exec" ? op.mounts[op.result ?? -1] : undefined;
  return mount?.kind === "bind" ? mount.from : undefined;
}

/** `tree` with what is different in `upper` from `lower`. */
function changed(context: OpContext, tree: Tree, lower: Vertex | undefined, upper: Vertex): Tree {
  const inputs = new Inputs();
  const root = inputs.index(tree.vertex);
  const { platform } = context;
  const name = `merge ${upper.name}`;
  if (lower === undefined && aloneOnNothing(upper)) {
    const layer = inputs.append(upper);
    return onTop(tree, context.vertex({ kind: "restack", root, layer }, inputs, name));
  }
  const from = inputs.index(lower);
  const op = { kind: "changes", root, lower: from, upper: inputs.append(upper), platform } as const;
  return onTop(tree, context.vertex(op, inputs, name));
}

/** Its snapshot's own files are all that it is. */
function aloneOnNothing({ op }: Vertex): boolean {
  return (op.kind === "file" || op.kind === "exec") && op.root === undefined && !("result" in op);
}

/** What is different in `upper` from `lower` (DiffOp), on nothing: removals are seen only where it is merged. */
export function diffTrees(context: OpContext, lower: Tree, upper: Tree): Tree {
  const { platform } = context;
  const [low, high] = [asRoot(lower, platform), asRoot(upper, platform)];
  if (!high.vertex || high.vertex === low.vertex) return emptyTree;
  if (!low.vertex) return high;
  const inputs = new Inputs();
  const from = inputs.index(low.vertex);
  const op = {
    kind: "changes",
    root: undefined,
    lower: from,
    upper: inputs.append(high.vertex),
    platform,
  } as const;
  return onTop(emptyTree, context.vertex(op, inputs, `diff ${high.vertex.name}`));
}
