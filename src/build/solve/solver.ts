import { TugError } from "../../base/lib/errors.ts";
import { digestOfValue } from "../canonical.ts";
import type { Vertex } from "../graph.ts";
import { inOrder } from "../in-order.ts";
import type { Result } from "../result.ts";
import { refuseUnentitled } from "../run/exec/entitlements.ts";
import { type SolvedStep, type SolveOptions, type Solver, StepFailure } from "../solve.ts";
import { isSource } from "./keys.ts";
import { Node, type NodeDeps, type NodeUser } from "./node.ts";
import { SiblingRuns } from "./sibling-runs.ts";

export interface GraphSolverDeps extends Omit<NodeDeps, "siblings"> {
  /** A build has ended: what it made may be synced, and what is too much collected. */
  readonly ended?: () => void;
  /** Whether this host has a device of that name; unknown is taken for yes. */
  readonly hasDevice?: (name: string) => boolean;
}

/** See `Solver`. */
export class GraphSolver implements Solver {
  readonly #deps: GraphSolverDeps & NodeDeps;
  /** Of all builds that run now. */
  readonly #nodes = new Map<string, Node>();

  constructor(deps: GraphSolverDeps) {
    this.#deps = { ...deps, siblings: new SiblingRuns() };
  }

  async solve(vertices: readonly Vertex[], options: SolveOptions): Promise<readonly Result[]> {
    options.signal.throwIfAborted();
    const order = inOrder(vertices, (vertex) => vertex);
    const { hasDevice = () => true } = this.#deps;
    for (const vertex of order) entitled(vertex, options.entitlements ?? [], hasDevice);
    const { promise: failure, reject } = Promise.withResolvers<never>();
    failure.catch(() => undefined);
    const stop = () => reject(options.signal.reason);
    options.signal.addEventListener("abort", stop, { once: true });
    const user: NodeUser = {
      session: options.session,
      importers: options.importers ?? [],
      entitlements: options.entitlements ?? [],
      progress: options.progress,
      failed: reject,
    };
    const nodes = this.#attach(order, user);
    let reason: unknown = new TugError("cancelled", "the build has ended");
    let ended = false;
    try {
      // Inputs first: each finds what it reads asked for already, however deep the graph is.
      for (const node of nodes.values()) void node.claim();
      const wanted = vertices.map((vertex) => nodes.get(vertex) ?? missing(vertex));
      const told = wanted.map(async (node, index) => {
        const result = await node.settle();
        // Other builds' steps go on: nobody here would let go of what they make.
        if (!ended) options.onResult?.(index, result.again());
      });
      await Promise.race([failure, Promise.all(told)]);
      const results = await Promise.all(wanted.map((node) => node.settle()));
      for (const node of nodes.values()) node.report.cachedFor(options.progress);
      if (options.onSolved) options.onSolved(await this.#solved(nodes));
      return results.map((result) => result.again());
    } catch (error) {
      reason = error;
      throw error;
    } finally {
      ended = true;
      options.signal.removeEventListener("abort", stop);
      await this.#release(nodes, user, reason);
    }
  }

  async #solved(nodes: ReadonlyMap<Vertex, Node>): Promise<readonly SolvedStep[]> {
    const steps: SolvedStep[] = [];
    for (const [vertex, node] of nodes) {
      const key = await node.key();
      const keys = isSource(vertex.op) ? [] : this.#deps.records.keysOf(key);
      steps.push({ vertex, key, keys, ...(node.pin && { pin: node.pin }) });
    }
    return steps;
  }

  #attach(order: readonly Vertex[], user: NodeUser): ReadonlyMap<Vertex, Node> {
    const nodes = new Map<Vertex, Node>();
    const ids = new Map<Vertex, string>();
    for (const vertex of order) {
      const id = identity(vertex, ids);
      ids.set(vertex, id);
      const inputs = vertex.inputs.map((input) => nodes.get(input) ?? missing(input));
      let node = this.#nodes.get(id);
      // One whose input failed is about to fail, too.
      if (!node || node.over || node.inputs.some((input, index) => input !== inputs[index])) {
        node = new Node(this.#deps, vertex, inputs);
        this.#nodes.set(id, node);
      }
      nodes.set(vertex, node);
    }
    for (const node of new Set(nodes.values())) node.attach(user);
    return nodes;
  }

  async #release(nodes: ReadonlyMap<Vertex, Node>, user: NodeUser, reason: unknown): Promise<void> {
    const all = new Set(nodes.values());
    const ending = [...all].map((node) => node.detach(user, reason));
    for (const [id, node] of this.#nodes) if (node.over) this.#nodes.delete(id);
    this.#deps.records.touch([...all].flatMap(({ used }) => used ?? []));
    await Promise.all(ending);
    this.#deps.ended?.();
  }
}

/** What makes vertices one node: the digest, and in what they read and themselves, whether the cache counts. */
function identity(vertex: Vertex, ids: ReadonlyMap<Vertex, string>): string {
  const plain = vertex.inputs.every((input) => ids.get(input) === input.digest);
  if (plain && !vertex.ignoreCache) return vertex.digest;
  return digestOfValue([vertex.digest, vertex.ignoreCache, vertex.inputs.map((input) => ids.get(input))]);
}

/** Before anything is looked up: what another build was allowed is in the cache, too. */
function entitled(
  vertex: Vertex,
  entitlements: readonly string[],
  hasDevice: (name: string) => boolean,
): void {
  try {
    refuseUnentitled(vertex.op, entitlements, hasDevice);
  } catch (error) {
    throw new StepFailure(vertex, error);
  }
}

function missing(vertex: Vertex): never {
  throw new Error(`no node for ${vertex.name}`);
}
