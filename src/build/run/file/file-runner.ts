import { join } from "node:path";
import { internal } from "../../../base/lib/errors.ts";
import type { ChainId } from "../../../base/lib/ids.ts";
import { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { LowerView } from "../../../core/snapshot/lower-view.ts";
import type { Mount, SnapshotLayout } from "../../../core/snapshot/snapshotter.ts";
import { digestOfValue } from "../../canonical.ts";
import type { FileAction, FileOp } from "../../graph.ts";
import type { Result } from "../../result.ts";
import { missingSource } from "../missing-source.ts";
import type { ActiveStep, StepContext, StepRunner, StepSnapshots } from "../runner.ts";
import type { CopyNotes } from "./copy-notes.ts";
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

/** COPY, ADD, WORKDIR and heredocs. */
export class FileRunner implements StepRunner<FileOp> {
  readonly #deps: FileRunnerDeps;

  constructor(deps: FileRunnerDeps) {
    this.#deps = deps;
  }

  async run(step: StepContext<FileOp>): Promise<ChainId> {
    const { snapshots } = this.#deps;
    const parent = inputOf(step, step.op.root)?.snapshot;
    return await snapshots.make(parent, async (active) => {
      if (nothingToDo(step.op.actions, parent === undefined ? undefined : snapshots.layout(parent))) return;
      await this.#act(step, active);
    });
  }

  /** Steps that say the same of one context are one, whichever build they belong to: what they copied resembles each other. */
  #earlier({ vertex, op, session }: StepContext<FileOp>): EarlierRequest | undefined {
    const { notes } = this.#deps;
    if (!notes || !op.actions.some(({ kind }) => kind === "copy")) return undefined;
    const key = digestOfValue([session.sharedKey, vertex.name, op.actions, op.epoch]);
    const path = join(notes.directory, key.slice("sha256:".length));
    return { trees: notes.trees, notes: path, link: !vertex.ignoreCache };
  }

  async #act(step: StepContext<FileOp>, { mounts, layout }: ActiveStep): Promise<void> {
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
    const own = mounts.length === 1 && mounts[0] ? ownFiles(mounts[0], layout) : undefined;
    const digests = step.onCopied !== undefined;
    const earlier = own === undefined ? undefined : this.#earlier(step);
    const common = { op: "actions", scratch, root: mounts, sources } as const;
    const request = { ...common, actions, epoch, own, digests, earlier };
    try {
      const done = await helper.run(request, step.signal);
      if (own !== undefined && done.linked !== undefined) snapshots.filesShared(done.linked, own);
      step.onCopied?.(done.digests ?? []);
    } catch (error) {
      if (error instanceof MissingSource)
        throw new MissingSource(error.path, missingSource(step.vertex, error.path));
      throw error;
    }
  }
}

/** Where what is made in a root lies by itself, when that is an overlay of the kernel's, or on nothing. */
function ownFiles({ type }: Mount, layout: SnapshotLayout): string | undefined {
  const direct = type === "overlay" || type === "bind";
  return direct && layout.kind === "overlay" && !layout.marks ? layout.upper : undefined;
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
    using view = new LowerView([root.upper, ...root.lowers]);
    return view.stat(components)?.kind === "directory";
  }
  using tree = RootedDir.open(root.tree);
  return components.every((_, index) => {
    return tree.tryLstat(`/${components.slice(0, index + 1).join("/")}`)?.kind === "directory";
  });
}
