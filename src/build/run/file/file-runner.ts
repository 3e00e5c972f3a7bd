import { internal } from "../../../base/lib/errors.ts";
import type { ChainId } from "../../../base/lib/ids.ts";
import { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { LowerView } from "../../../core/snapshot/lower-view.ts";
import type { SnapshotLayout } from "../../../core/snapshot/snapshotter.ts";
import type { FileAction, FileOp } from "../../graph.ts";
import type { Result } from "../../result.ts";
import { missingSource } from "../missing-source.ts";
import type { ActiveStep, StepContext, StepRunner, StepSnapshots } from "../runner.ts";
import { type BuildFilesHelper, MissingSource } from "./helper.ts";

export interface FileRunnerDeps {
  readonly helper: BuildFilesHelper;
  readonly snapshots: StepSnapshots;
  /** An existing empty directory: helpers mount over it, each in a mount namespace of its own. */
  readonly scratch: string;
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
    const overlay = mounts.length === 1 && mounts[0]?.type === "overlay";
    const own = overlay && layout.kind === "overlay" ? layout.upper : undefined;
    const digests = step.onCopied !== undefined;
    const request = { op: "actions", scratch, root: mounts, sources, actions, epoch, own, digests } as const;
    try {
      const done = await helper.run(request, step.signal);
      step.onCopied?.(done.digests ?? []);
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
    using view = new LowerView([root.upper, ...root.lowers]);
    return view.stat(components)?.kind === "directory";
  }
  using tree = RootedDir.open(root.tree);
  return components.every((_, index) => {
    return tree.tryLstat(`/${components.slice(0, index + 1).join("/")}`)?.kind === "directory";
  });
}
