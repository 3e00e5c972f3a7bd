import { notFound } from "../../../base/lib/errors.ts";
import type { ChainId, Digest } from "../../../base/lib/ids.ts";
import type { LocalSource } from "../../graph.ts";
import type { BuildSession, ContextFiles } from "../../session.ts";
import { digestSelection } from "../file/selection/content-digest.ts";
import type { SourceRunner, StepContext } from "../runner.ts";
import { inSlices } from "../slices.ts";
import type { HeldTree, KeptTrees } from "./kept-trees.ts";
import type { TreeIdentity } from "./tree-slot.ts";

export interface LocalRunnerDeps {
  readonly trees: KeptTrees;
}

/** Files of a session that are here already: the body of a classic build. */
export interface ReceivedFiles extends ContextFiles {
  /** A hold on what was received, without what `exclude` names. */
  tree(exclude: readonly string[], signal: AbortSignal): Promise<HeldTree>;
}

const everything = { sources: ["/"], wildcard: false, exclude: [], parents: false } as const;

/**
 * Directories of the client's: what changed since the last build is transferred, once for a step, and stays as it is while anybody needs
 * it: from the key on until the step's builds end, and each tree that was handed out until it is released.
 */
export class LocalRunner implements SourceRunner<LocalSource> {
  readonly #deps: LocalRunnerDeps;
  /** By what ends with the step, and the step. */
  readonly #received = new WeakMap<AbortSignal, Map<Digest, Promise<HeldTree>>>();
  readonly #handedOut = new Map<ChainId, HeldTree[]>();

  constructor(deps: LocalRunnerDeps) {
    this.#deps = deps;
  }

  async key(step: StepContext<LocalSource>): Promise<Digest> {
    const { index, found } = await this.#tree(step);
    found.digest ??= await inSlices(digestSelection(index, everything), step.signal);
    return found.digest;
  }

  async snapshot(step: StepContext<LocalSource>): Promise<ChainId> {
    const { name } = await this.#tree(step);
    const held = this.#deps.trees.hold(name);
    const same = this.#handedOut.get(name);
    if (same) same.push(held);
    else this.#handedOut.set(name, [held]);
    return name;
  }

  release(snapshot: ChainId): void {
    const same = this.#handedOut.get(snapshot);
    same?.pop()?.[Symbol.dispose]();
    if (same?.length === 0) this.#handedOut.delete(snapshot);
  }

  async #tree(step: StepContext<LocalSource>): Promise<HeldTree> {
    const { signal } = step.session;
    signal.throwIfAborted();
    const received = this.#received.get(signal) ?? new Map<Digest, Promise<HeldTree>>();
    this.#received.set(signal, received);
    const { digest } = step.vertex;
    const known = received.get(digest);
    if (known) return await known;
    const tree = this.#receive(step);
    received.set(digest, tree);
    const drop = () => {
      received.delete(digest);
      tree.then(
        (held) => held[Symbol.dispose](),
        // Nothing was received; who waits for it was told.
        () => undefined,
      );
    };
    signal.addEventListener("abort", drop, { once: true });
    try {
      return await tree;
    } catch (error) {
      signal.removeEventListener("abort", drop);
      if (received.get(digest) === tree) received.delete(digest);
      throw error;
    }
  }

  async #receive(step: StepContext<LocalSource>): Promise<HeldTree> {
    const { op, signal, progress } = step;
    const session = lenderOf(op, step.session);
    const { files } = session;
    if (!files) throw notFound(`the client sends no directory ${JSON.stringify(op.name)}`);
    if (isReceived(files)) return await files.tree(op.name === "dockerfile" ? [] : op.exclude, signal);
    const name = `transferring ${op.name}:`;
    let current = 0;
    const tree = await this.#deps.trees.receive(identityOf(op, session), signal, async (into) => {
      await files.receive({
        name: op.name,
        include: op.include,
        exclude: op.exclude,
        follow: op.follow ?? op.include,
        into,
        signal,
        onProgress: (bytes) => {
          current = bytes;
          progress.part(name, { current, total: 0 });
        },
      });
    });
    progress.part(name, { current, total: current, done: true });
    return tree;
  }
}

/** Builds that take each other's results have steps with directories of several clients. */
function lenderOf(op: LocalSource, session: BuildSession): BuildSession {
  if (op.session === session.id) return session;
  const lender = session.lender ? session.lender(op.session) : session;
  if (!lender)
    throw notFound(`no active session for ${op.session}: the client that has the directory is gone`);
  return lender;
}

function isReceived(files: ContextFiles): files is ReceivedFiles {
  return "tree" in files;
}

/** A client that says nothing of itself shares with nobody. */
function identityOf(op: LocalSource, session: BuildSession): TreeIdentity {
  const shared = session.sharedKey === "" ? `session ${op.session}` : session.sharedKey;
  return {
    owner: JSON.stringify([shared, op.name]),
    key: JSON.stringify([op.include, op.exclude, ...(op.follow ? [op.follow] : [])]),
    description: `local source for ${op.name}`,
    lasting: session.sharedKey !== "",
  };
}
