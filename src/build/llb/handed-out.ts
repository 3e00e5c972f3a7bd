import { notFound } from "../../base/lib/errors.ts";
import { randomId } from "../../base/lib/ids.ts";
import { type Definition, Op, OpMetadata } from "../../base/spec/buildkit/pb.gen.ts";
import { digestOf } from "../../base/spec/oci/digest.ts";
import type { PlannedTarget } from "../plan.ts";
import type { BuildSession } from "../session.ts";

/** What a definition of ours names. */
export interface Handed {
  readonly target: PlannedTarget;
  /** Of the build that planned it: its steps may need what that client lends. */
  readonly session: BuildSession;
}

/** Identifier of the one operation in a definition of ours, with a name that nobody can guess. */
export const handedPrefix = "tug-result://";
/** Results of builds that are over and still known: a client may take them to its next build. */
const maxKept = 1_000;

/**
 * Results as clients take them from one build to another. Clients of BuildKit want a result's definition in LLB, to give it back as another
 * build's input or to put it into a larger one. Ours is a single source whose identifier stands for a planned target here: it says no
 * more of the plan than clients need, and what comes back needs no trust.
 */
export class HandedOut {
  readonly #results = new Map<string, Handed>();
  readonly #over = new Set<string>();

  /** Known for as long as it is not disposed of, and for some time after. */
  offer(handed: Handed): Disposable & { readonly definition: Definition } {
    const id = randomId();
    this.#results.set(id, handed);
    return { definition: definitionOf(`${handedPrefix}${id}`), [Symbol.dispose]: () => this.#release(id) };
  }

  /** Throws not-found for what was never handed out, or too long ago. */
  find(identifier: string): Handed {
    const found = this.#results.get(identifier.slice(handedPrefix.length));
    if (!found) throw notFound("a result of another build is not known any more: build that again");
    return found;
  }

  #release(id: string): void {
    if (!this.#results.has(id)) return;
    this.#over.add(id);
    for (const oldest of this.#over) {
      if (this.#over.size <= maxKept) return;
      this.#over.delete(oldest);
      this.#results.delete(oldest);
    }
  }
}

/** With metadata for each operation, though there is none: BuildKit's client takes no definition without. */
function definitionOf(identifier: string): Definition {
  const source = Op.encode(Op.create({ source: { identifier, attrs: {} } })).finish();
  const result = Op.encode(Op.create({ inputs: [{ digest: digestOf(source), index: 0n }] })).finish();
  const metadata = [source, result].map((op) => [digestOf(op), OpMetadata.create()]);
  return { def: [source, result], metadata: Object.fromEntries(metadata), source: undefined };
}
