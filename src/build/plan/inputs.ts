import { invalid } from "../../base/lib/errors.ts";
import { cleanPath } from "../../base/spec/dockerfile/ignore.ts";
import { hasWildcard } from "../../base/spec/dockerfile/match.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import type { HistoryEntry, ImageConfig } from "../../base/spec/oci/image.ts";
import { parseImageConfig } from "../../base/spec/oci/parse-config.ts";
import type { FileOp, Vertex } from "../graph.ts";
import type { PlannedTarget } from "../plan.ts";
import { copyAction } from "./copy-action.ts";
import { makeVertex } from "./vertices.ts";

/** A tree that a client hands to a build (`BuildRequest.inputs`), and how an image is made of it. */
export type LoadedInput = Pick<PlannedTarget, "root" | "base" | "layers">;

/** The input of that name. Throws invalid-argument when the client gave none. */
export function inputNamed(inputs: ReadonlyMap<string, LoadedInput> | undefined, name: string): LoadedInput {
  const input = inputs?.get(name);
  if (!input) throw invalid(`invalid input ${JSON.stringify(name)}: the client gave none of that name`);
  return input;
}

/** An image config as a client has it: `rootfs` may be missing, as the layers are not made yet. Throws invalid-argument. */
export function parseClientConfig(text: string): ImageConfig {
  try {
    const parsed: unknown = JSON.parse(text);
    const document = typeof parsed === "object" && parsed !== null ? parsed : {};
    const rootfs = { type: "layers", diff_ids: [] };
    return parseImageConfig(Buffer.from(JSON.stringify({ ...document, rootfs })));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw invalid(`failed to parse the image config of an input: ${why}`, error);
  }
}

/** Of a tree that came without one. */
export function bareConfig({ os, architecture, variant }: Platform): ImageConfig {
  const rootfs = { type: "layers", diff_ids: [] } as const;
  return { os, architecture, ...(variant && { variant }), config: { WorkingDir: "/" }, rootfs };
}

/**
 * Entries of a config's history, apart: those of the base's layers and those of the layers that are made here, of which as many are not empty as
 * there are layers. A history that does not fit is of no use: then each layer tells what made it.
 */
export function splitHistory(
  history: readonly HistoryEntry[],
  { base, layers }: Pick<PlannedTarget, "base" | "layers">,
): { readonly inherited: readonly HistoryEntry[]; readonly own: readonly HistoryEntry[] } {
  const filled = history.filter((entry) => entry.empty_layer !== true).length;
  const below = base?.layers.length ?? 0;
  if (filled === below + layers.length) {
    let seen = 0;
    // What is made here has no time yet.
    const isOwn = (entry: HistoryEntry) =>
      entry.empty_layer !== true ? ++seen > below : seen === below && entry.created === undefined;
    const found = history.findIndex(isOwn);
    const at = found < 0 ? history.length : found;
    return { inherited: history.slice(0, at), own: history.slice(at) };
  }
  const comment = "buildkit.exporter.image.v0";
  return {
    inherited: Array.from({ length: below }, () => ({ comment })),
    own: layers.map(({ name }) => ({ created_by: name, comment })),
  };
}

/** These files of a tree, those that are there, on nothing. */
export function filesOf(tree: Vertex | undefined, names: readonly string[], platform: Platform): Vertex {
  const sources = names.map((name) => `/./${optionalPattern(name)}`);
  const action = copyAction({ from: tree && 0, sources, dest: "/", wildcard: true, parents: true });
  const op: FileOp = { kind: "file", root: undefined, actions: [action], epoch: undefined, platform };
  return makeVertex(op, tree ? [tree] : [], { name: `[internal] load ${names.join(", ")}` });
}

/** A path as a pattern that matches it alone: what is a pattern may match nothing. */
export function optionalPattern(path: string): string {
  const clean = cleanPath(`/${path}`).slice(1);
  if (clean === "") return "*";
  return hasWildcard(clean) ? clean : `${clean.slice(0, -1)}[${clean.slice(-1)}]`;
}
