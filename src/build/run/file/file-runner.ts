import { join } from "node:path";
import { internal, isCode } from "../../../base/lib/errors.ts";
import type { ChainId } from "../../../base/lib/ids.ts";
import { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { LowerView, layersOf } from "../../../core/snapshot/lower-view.ts";
import type { SnapshotLayout } from "../../../core/snapshot/snapshotter.ts";
import { digestOfValue } from "../../canonical.ts";
import type { FileAction, FileOp } from "../../graph.ts";
import type { Result } from "../../result.ts";
import { missingSource } from "../missing-source.ts";
import type { ActiveStep, StepContext, StepRunner, StepSnapshots, WriteSnapshot } from "../runner.ts";
import type { CopyNotes } from "./copy/copy-notes.ts";
import { type BuildFilesHelper, MissingSource } from "./helper.ts";
import type { EarlierRequest } from "./protocol.ts";

export interface FileRunnerDeps {
  readonly helper: BuildFilesHelper;
  readonly snapshots: StepSnapshots;
  /** An existing empty directory: helpers mount over it, each in a mount namespace of its own. */
  readonly scratch: string;
  /** Absent: every file is copied. */
  readonly notes?: CopyNotes;
}

/** Of 500 directories that overlay mounts at once. */
export const manyLowers = 200;

class UnfitBase extends Error {
  override readonly name = "UnfitBase";
}

/** COPY, ADD, WORKDIR and heredocs. */
export class FileRunner implements StepRunner<FileOp> {
  readonly #deps: FileRunnerDeps;

  constructor(deps: FileRunnerDeps) {
    this.#deps = deps;
  }

  async run(step: StepContext<FileOp>): Promise<ChainId> {
    const earlier = this.#earlier(step);
    try {
      return await this.#make(step, earlier);
    } catch (error) {
      const lost =
        error instanceof UnfitBase || (isCode(error, "not-found") && !(error instanceof MissingSource));
      if (!earlier?.use || !lost) throw error;
      return await this.#make(step, { ...earlier, use: false });
    }
  }

  async #make(step: StepContext<FileOp>, earlier: EarlierRequest | undefined): Promise<ChainId> {
    const { snapshots } = this.#deps;
    const parent = inputOf(step, step.op.root)?.snapshot;
    const write: WriteSnapshot = async (active, completeWith) => {
      if (nothingToDo(step.op.actions, parent === undefined ? undefined : snapshots.layout(parent))) return;
      const base = await this.#act(step, active, earlier);
      if (base === "unfit") throw new UnfitBase("what was copied before cannot be built upon");
      if (base !== undefined) completeWith(base);
    };
    return await snapshots.make(parent, write, step.signal);
  }

  /** Steps that say the same of one context are one, whichever build they belong to: what they copied resembles each other. */
  #earlier({ vertex, op, session }: StepContext<FileOp>): EarlierRequest | undefined {
    const { notes } = this.#deps;
    if (!notes || !op.actions.some(({ kind }) => kind === "copy")) return undefined;
    const key = digestOfValue([session.sharedKey, vertex.name, op.actions, op.epoch]);
    const path = join(notes.directory, key.slice("sha256:".length));
    return { trees: notes.trees, notes: path, use: !vertex.ignoreCache };
  }

  /** Returns what completes it, or "unfit". */
  async #act(
    step: StepContext<FileOp>,
    { mounts, layout }: ActiveStep,
    earlier: EarlierRequest | undefined,
  ): Promise<string | undefined> {
    const { helper, snapshots, scratch } = this.#deps;
    const inputs: (number | undefined)[] = [];
    const actions = step.op.actions.map((action): FileAction => {
      if (action.kind !== "copy") return action;
      let at = inputs.indexOf(action.from);
      if (at < 0) at = inputs.push(action.from) - 1;
      return { ...action, from: at };
    });
    const sources = inputs.map((input) => snapshots.view(inputOf(step, input)?.snapshot));
    const { epoch } = step.op;
    const overlay = mounts.length === 1 && mounts[0]?.type === "overlay" && layout.kind === "overlay";
    const own = overlay ? layout.upper : undefined;
    const digests = step.onCopied !== undefined;
    const request = { op: "actions", scratch, root: mounts, sources, actions, epoch, own, digests } as const;
    try {
      // Each base is one directory more to mount.
      const completable = overlay && layout.lowers.length < manyLowers;
      const done = await helper.run({ ...request, earlier: completable ? earlier : undefined }, step.signal);
      step.onCopied?.(done.digests ?? []);
      return done.base;
    } catch (error) {
      if (error instanceof MissingSource)
        throw new MissingSource(error.path, missingSource(step.vertex, error.path));
      throw error;
    }
  }
}

function inputOf(step: StepContext<FileOp>, index: number | undefined): Result | undefined {
  if (index === undefined) return undefined;
  const input = step.inputs[index];
  if (!input) throw internal(`step ${JSON.stringify(step.vertex.name)} has no input ${index}`);
  return input;
}

/** Only directories, and all are there: a WORKDIR that the base has. No helper is started for that. */
function nothingToDo(actions: readonly FileAction[], root: SnapshotLayout | undefined): boolean {
  if (!root) return actions.length === 0;
  const paths = actions.map((action) => (action.kind === "mkdir" ? action.path : undefined));
  if (paths.includes(undefined)) return false;
  return paths.every((path) =>
    isDirectoryOf(
      root,
      (path ?? "").split("/").filter((part) => part !== ""),
    ),
  );
}

/** False as well where a link is on the way: the helper follows it. */
function isDirectoryOf(root: SnapshotLayout, components: readonly string[]): boolean {
  if (components.some((part) => part === "." || part === "..")) return false;
  if (root.kind === "overlay") {
    using view = new LowerView(layersOf(root));
    return view.stat(components)?.kind === "directory";
  }
  using tree = RootedDir.open(root.tree);
  return components.every((_, index) => {
    return tree.tryLstat(`/${components.slice(0, index + 1).join("/")}`)?.kind === "directory";
  });
}
