import { invalid, type TugError } from "../../base/lib/errors.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import type { Op, Vertex } from "../graph.ts";
import type { ImageNeed } from "../plan/input.ts";
import type { Inputs } from "../plan/vertices.ts";
import type { ResolvedImage } from "../plan.ts";
import type { DecodedOp } from "./decode.ts";
import type { Handed } from "./handed-out.ts";
import type { Tree } from "./tree.ts";

/** What a definition is translated with. */
export interface LlbInput {
  /** Of the client that lends its directories. */
  readonly session: string;
  /** Other clients whose results it builds on. */
  readonly lenders: ReadonlySet<string>;
  readonly host: Platform;
  /** Ask registries even for what is here. */
  readonly pull: boolean;
  /** By `imageKey`: what images say of themselves, or why they could not be asked. */
  readonly images: ReadonlyMap<string, ResolvedImage | TugError>;
  /** A result that was handed to a client (`handedPrefix`). */
  readonly handed: (identifier: string) => Handed;
}

/** What translators of single operations work with. */
export interface OpContext {
  readonly decoded: DecodedOp;
  readonly input: LlbInput;
  readonly platform: Platform;
  /** Trees of its inputs, in its order. */
  readonly inputs: readonly Tree[];
  /** Images that are not known yet. */
  readonly needs: Map<string, ImageNeed>;
  /** A vertex of it; `name` unless the client chose one. */
  vertex(op: Op, inputs: Pick<Inputs, "list">, name: string): Vertex;
}

/** An input by its number; undefined for -1, which stands for nothing. */
export function inputAt({ inputs, decoded }: OpContext, index: bigint): Tree | undefined {
  if (index === -1n) return undefined;
  const tree = index >= 0n ? inputs[Number(index)] : undefined;
  if (!tree)
    throw invalid(`operation ${decoded.digest} reads input ${index}, but has ${inputs.length} inputs`);
  return tree;
}
