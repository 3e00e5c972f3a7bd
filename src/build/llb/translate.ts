import { invalid, TugError } from "../../base/lib/errors.ts";
import { llbCaps } from "../../base/spec/buildkit/llb-caps.ts";
import type { Definition } from "../../base/spec/buildkit/pb.gen.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import { normalizePlatform } from "../../base/spec/oci/platform.ts";
import type { Vertex } from "../graph.ts";
import type { ImageNeed } from "../plan/input.ts";
import { makeVertex } from "../plan/vertices.ts";
import { inputAt, type LlbInput, type OpContext } from "./context.ts";
import { bodies, type DecodedOp, decodeDefinition, type Edge } from "./decode.ts";
import { translateExec } from "./exec.ts";
import { translateFile } from "./file.ts";
import { diffTrees, mergeTrees } from "./merge.ts";
import { translateSource } from "./source.ts";
import { emptyTree, type Tree } from "./tree.ts";

export type Translated =
  | { readonly kind: "translated"; readonly tree: Tree }
  /** Ask again with these as well. */
  | { readonly kind: "needs"; readonly images: readonly ImageNeed[] };

/**
 * Makes a graph of a client's definition; touches nothing. Throws invalid-argument for a definition that does not hold together, not-implemented
 * for what this builder does not know.
 */
export function translateDefinition(definition: Definition, input: LlbInput): Translated {
  const { result, ops } = decodeDefinition(definition);
  if (!result) return { kind: "translated", tree: emptyTree };
  const translation = new Translation(definition, input);
  for (const op of ops) translation.add(op);
  const images = [...translation.needs.values()];
  if (images.length > 0) return { kind: "needs", images };
  return { kind: "translated", tree: translation.tree(result) };
}

class Translation {
  readonly needs = new Map<string, ImageNeed>();
  readonly #definition: Definition;
  readonly #input: LlbInput;
  readonly #trees = new Map<string, Tree>();

  constructor(definition: Definition, input: LlbInput) {
    this.#definition = definition;
    this.#input = input;
  }

  tree({ digest, index }: Edge): Tree {
    const tree = this.#trees.get(`${digest}/${index}`);
    if (!tree) throw invalid(`operation ${digest} has no output ${index}`);
    return tree;
  }

  add(decoded: DecodedOp): void {
    const { op, metadata, digest } = decoded;
    refuseUnknownCaps(decoded);
    const { platform } = op;
    const context: OpContext = {
      decoded,
      input: this.#input,
      platform: platform ? platformOf(platform) : normalizePlatform(this.#input.host),
      inputs: decoded.inputs.map((edge) => this.tree(edge)),
      needs: this.needs,
      vertex: (made, inputs, name) => ({
        ...makeVertex(made, inputs.list, {
          name: described(decoded, "llb.customname") ?? name,
          ignoreCache: metadata.ignoreCache && made.kind !== "image" && made.kind !== "local",
        }),
        location: locationOf(this.#definition, digest),
      }),
    };
    for (const [index, tree] of translateOp(context)) this.#trees.set(`${digest}/${index}`, tree);
  }
}

/** What an operation's outputs are, those that are read. */
function translateOp(context: OpContext): Iterable<readonly [number, Tree]> {
  const { op, digest } = context.decoded;
  const [kind] = bodies(op);
  if (op.exec) return translateExec(context, op.exec);
  if (op.file) return translateFile(context, op.file);
  if (op.source) return [[0, translateSource(context, op.source)]];
  if (op.merge) {
    const parts = op.merge.inputs.map(({ input }) => inputAt(context, input) ?? emptyTree);
    return [[0, mergeTrees(context, parts)]];
  }
  if (op.diff) {
    const { lower, upper } = op.diff;
    const tree = (side: typeof lower) => (side ? inputAt(context, side.input) : undefined) ?? emptyTree;
    return [[0, diffTrees(context, tree(lower), tree(upper))]];
  }
  throw new TugError(
    "not-implemented",
    `operation ${digest} is of the kind ${kind}, which this builder does not have: source, exec, file, merge and diff`,
  );
}

/** A text that the client put beside an operation for people. */
function described({ metadata }: DecodedOp, key: string): string | undefined {
  const text = Object.hasOwn(metadata.description, key) ? metadata.description[key] : undefined;
  return text === undefined || text === "" ? undefined : text.slice(0, 4096);
}

function platformOf({ os, architecture, variant }: Platform): Platform {
  return normalizePlatform({ os, architecture, ...(variant ? { variant } : {}) });
}

/** Capabilities that an operation relies on although they are beyond what every builder has. */
function refuseUnknownCaps({ metadata, digest }: DecodedOp): void {
  for (const [cap, needed] of Object.entries(metadata.caps)) {
    if (!needed || isServed(cap)) continue;
    throw new TugError(
      "not-implemented",
      `requested experimental feature ${cap} of operation ${digest} is not supported by this builder`,
    );
  }
}

const isServed = (cap: string): boolean => llbCaps.includes(cap);

function locationOf({ source }: Definition, digest: string): Vertex["location"] {
  const all = source && Object.hasOwn(source.locations, digest) ? source.locations[digest] : undefined;
  const first = all?.locations[0];
  const range = first?.ranges[0];
  if (!first || !range?.start || first.sourceIndex < 0 || first.sourceIndex >= (source?.infos.length ?? 0))
    return undefined;
  const { start, end = start } = range;
  return { file: first.sourceIndex, range: { start, end: end ?? start } };
}
