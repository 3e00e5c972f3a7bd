import type { Digest } from "../../base/lib/ids.ts";
import type { SourceRange } from "../../base/spec/dockerfile/syntax.ts";
import { digestOfValue } from "../canonical.ts";
import type { InputIndex, Op, Vertex } from "../graph.ts";

export interface VertexLabel {
  readonly name: string;
  readonly range?: SourceRange | undefined;
  readonly ignoreCache?: boolean;
}

/** A vertex with its digest: of the operation, without what only says how it runs, and of the inputs. */
export function makeVertex(op: Op, inputs: readonly Vertex[], label: VertexLabel): Vertex {
  const { proxyEnv: _, resources: __, ...defining } = { proxyEnv: undefined, resources: undefined, ...op };
  return {
    digest: digestOfValue({ op: defining, inputs: inputs.map((input) => input.digest) }),
    op,
    inputs,
    name: label.name,
    location: label.range && { file: 0, range: label.range },
    ignoreCache: label.ignoreCache ?? false,
  };
}

/** Equal vertices are one: the first that was made. */
export class VertexTable {
  readonly #vertices = new Map<Digest, Vertex>();

  add(op: Op, inputs: readonly Vertex[], label: VertexLabel): Vertex {
    const made = makeVertex(op, inputs, label);
    const known = this.#vertices.get(made.digest);
    if (known && (known.ignoreCache || !made.ignoreCache)) return known;
    this.#vertices.set(made.digest, made);
    return made;
  }
}

/** Inputs of a vertex that is being made, each once. */
export class Inputs {
  readonly list: Vertex[] = [];
  readonly #numbers = new Map<Digest, number>();

  /** undefined, the empty tree, is no input. */
  index(vertex: Vertex | undefined): InputIndex {
    return vertex && (this.#numbers.get(vertex.digest) ?? this.append(vertex));
  }

  /** At the end, although it may be there already. */
  append(vertex: Vertex): number {
    const number = this.list.push(vertex) - 1;
    this.#numbers.set(vertex.digest, number);
    return number;
  }
}
