import { notFound } from "../../../base/lib/errors.ts";
import type { ChainId, Digest } from "../../../base/lib/ids.ts";
import type { LocalSource } from "../../graph.ts";
import type { BuildSession, ContextFiles } from "../../session.ts";
import { digestSelection } from "../file/content-digest.ts";
import { inSlices } from "../file/slices.ts";
import type { SourceRunner, StepContext } from "../runner.ts";
import type { HeldTree, KeptTrees, TreeIdentity } from "./kept-trees.ts";

export interface LocalRunnerDeps {
  readonly trees: KeptTrees;
}

/** Files of a session that are here already: the body of a classic build. */
export interface ReceivedFiles extends ContextFiles {
  /** A hold on what was received, without what `exclude` names. */
  tree(exclude: readonly string[], signal: AbortSignal): Promise<HeldTree>;
}

const everything = { sources: ["/"], wildcard: false, exclude: [], parents: false } as const;

/** Directories of the client's: what changed since the last build is transferred, and the tree stays as it is while it is held. */
export class LocalRunner implements SourceRunner<LocalSource> {
  readonly #deps: LocalRunnerDeps;
  /** By session and step. */
  readonly #trees = new Map<string, Promise<HeldTree>>();

  constructor(deps: LocalRunnerDeps) {
    this.#deps = deps;
  }

  async key(step: StepContext<LocalSource>): Promise<Digest> {
    const { index } = await this.#tree(step);
    return await inSlices(digestSelection(index, everything), step.signal);
  }

  async snapshot(step: StepContext<LocalSource>): Promise<ChainId> {
    return (await this.#tree(step)).name;
  }

  release(snapshot: ChainId): void {
    for (const [key, tree] of this.#trees) {
      tree.then(
        (held) => {
          if (held.name === snapshot) this.#drop(key, tree);
        },
        // Its own caller was told.
        () => undefined,
      );
    }
  }

  async #tree(step: StepContext<LocalSource>): Promise<HeldTree> {
    const key = `${step.op.session} ${step.vertex.digest}`;
    const known = this.#trees.get(key);
    if (known) return await known;
    const tree = this.#receive(step);
    this.#trees.set(key, tree);
    const drop = () => this.#drop(key, tree);
    step.session.signal.addEventListener("abort", drop, { once: true });
    try {
      const held = await tree;
      if (step.session.signal.aborted) drop();
      return held;
    } catch (error) {
      drop();
      step.session.signal.removeEventListener("abort", drop);
      throw error;
    }
  }

  #drop(key: string, tree: Promise<HeldTree>): void {
    if (this.#trees.get(key) === tree) this.#trees.delete(key);
    tree.then(
      (held) => held[Symbol.dispose](),
      // Nothing was received.
      () => undefined,
    );
  }

  async #receive({ op, session, signal, progress }: StepContext<LocalSource>): Promise<HeldTree> {
    const { files } = session;
    if (!files) throw notFound(`the client sends no files: ${op.name} is a directory of its own`);
    if (isReceived(files)) return await files.tree(op.name === "dockerfile" ? [] : op.exclude, signal);
    const name = `transferring ${op.name}:`;
    let current = 0;
    const tree = await this.#deps.trees.receive(identityOf(op, session), signal, async (into) => {
      await files.receive({
        name: op.name,
        include: op.include,
        exclude: op.exclude,
        follow: op.include,
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

function isReceived(files: ContextFiles): files is ReceivedFiles {
  return "tree" in files;
}

/** A client that says nothing of itself shares with nobody. */
function identityOf(op: LocalSource, session: BuildSession): TreeIdentity {
  const shared = session.sharedKey === "" ? `session ${op.session}` : session.sharedKey;
  return {
    owner: JSON.stringify([shared, op.name]),
    key: JSON.stringify([op.include, op.exclude]),
    description: `local source for ${op.name}`,
    lasting: session.sharedKey !== "",
  };
}
