import type { Platform } from "../../base/spec/oci/descriptor.ts";
import type { Vertex } from "../graph.ts";
import { copyAction } from "../plan/copy-action.ts";
import { makeVertex } from "../plan/vertices.ts";
import type { PlannedTarget } from "../plan.ts";

/** What an output of an operation is: a tree, and how an image is made of it. */
export interface Tree {
  /** undefined: the empty tree. */
  readonly vertex: Vertex | undefined;
  /** The image that it began from. */
  readonly base: PlannedTarget["base"];
  /** What added a layer each; linked, as chains share their beginnings. */
  readonly layers: Layers | undefined;
}

interface Layers {
  readonly top: Vertex;
  readonly below: Layers | undefined;
}

export const emptyTree: Tree = { vertex: undefined, base: undefined, layers: undefined };

/** What `vertex` made of `below`. */
export function onTop(below: Tree, vertex: Vertex): Tree {
  return { vertex, base: below.base, layers: { top: vertex, below: below.layers } };
}

/** Bottom first. */
export function layersOf(tree: Pick<Tree, "layers">): readonly Vertex[] {
  const layers: Vertex[] = [];
  for (let at = tree.layers; at; at = at.below) layers.push(at.top);
  return layers.reverse();
}

export function treeOf(target: Pick<PlannedTarget, "root" | "base" | "layers">): Tree {
  let layers: Layers | undefined;
  for (const top of target.layers) layers = { top, below: layers };
  return { vertex: target.root, base: target.base, layers };
}

/** A tree that others can be built on: a client's directory is copied first, as it changes with the next transfer. */
export function asRoot(tree: Tree, platform: Platform): Tree {
  const { vertex } = tree;
  if (vertex?.op.kind !== "local") return tree;
  const action = copyAction({ from: 0, sources: ["/"], dest: "/" });
  const op = { kind: "file", root: undefined, actions: [action], epoch: undefined, platform } as const;
  return onTop(emptyTree, makeVertex(op, [vertex], { name: `copy ${vertex.name}` }));
}
