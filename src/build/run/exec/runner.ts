import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { causeOf, internal, messageOf } from "../../../base/lib/errors.ts";
import { type ChainId, type ContainerId, randomId } from "../../../base/lib/ids.ts";
import type { StepStdio } from "../../../base/spec/builder/builder.ts";
import {
  type CgroupPaths,
  cgroupPathsFor,
  killCgroup,
  removeCgroup,
  removeEmptyCgroup,
} from "../../../base/sys/cgroup/cgroup.ts";
import { CgroupMoves } from "../../../base/sys/cgroup/moves.ts";
import { unmountIfMounted } from "../../../base/sys/mount/mount.ts";
import { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { APPARMOR_PROFILE, keepApparmorProfile } from "../../../core/runtime/apparmor.ts";
import { missingEmulator } from "../../../core/runtime/emulation.ts";
import type { OciRuntime } from "../../../core/runtime/oci.ts";
import type { OciSpec } from "../../../core/runtime/runtime.ts";
import { generateSpec } from "../../../core/runtime/spec/generate.ts";
import { stringifySpec } from "../../../core/runtime/spec/stringify.ts";
import type { ExecOp } from "../../graph.ts";
import type { ActiveStep, StepContext, StepRunner } from "../runner.ts";
import { StepCgroups, scopeAround } from "./cgroups.ts";
import type { ExecDeps } from "./deps.ts";
import { refuseUnentitled } from "./entitlements.ts";
import { foreignHint, startComplaint, stepFailure } from "./failure.ts";
import { makeKept } from "./kept.ts";
import { type MountContext, mountActive, snapshotOf } from "./mount-context.ts";
import { prepareMounts } from "./mounts.ts";
import { type StepNamespace, StepNamespaces } from "./namespaces.ts";
import { networkFiles } from "./network-files.ts";
import { runStepProcess, runtimeLog, type StepEnd } from "./process.ts";
import { makePlaces, makeWorkingDirectory } from "./root.ts";
import { refuseLeakedSecrets } from "./secret-scan.ts";
import { hasDevice, refuseUnmappable, stepSpecInput } from "./spec-input.ts";
import { MountTargets } from "./targets.ts";
import {
  abandonedSteps,
  openWorkspace,
  removeWorkspace,
  stepsDirectory,
  type Workspace,
} from "./workspace.ts";

const SIGKILL = 9;

/**
 * RUN: runs a step's program in a container of its own, as the OCI runtime makes them for `run` too, in the foreground and without a
 * monitor: a step has no life beyond its daemon. When `run` settles nothing of it is left but the snapshot. What a daemon that was
 * killed leaves the keeper ends at once, and the next one's `recover` takes away.
 */
export class ExecRunner implements StepRunner<ExecOp>, AsyncDisposable {
  readonly #deps: ExecDeps;
  readonly #cgroups: StepCgroups;
  readonly #namespaces: StepNamespaces;
  readonly #moves: CgroupMoves;

  constructor(deps: ExecDeps) {
    this.#deps = deps;
    mkdirSync(stepsDirectory(deps.root), { recursive: true, mode: 0o700 });
    this.#cgroups = new StepCgroups(deps);
    this.#namespaces = new StepNamespaces(deps);
    this.#moves = new CgroupMoves(deps.hierarchy);
  }

  async run(step: StepContext<ExecOp>): Promise<ChainId> {
    const { op, signal } = step;
    signal.throwIfAborted();
    this.#refuse(step);
    try {
      const made = await makeKept(this.#deps.snapshots, step, (kept) => this.#execute(step, kept));
      step.onKept?.(made);
      const result = made.get(op.result ?? -1);
      if (result === undefined) throw internal(`a step keeps no tree ${op.result ?? -1}`);
      return result;
    } catch (error) {
      if (error instanceof SuppressedError)
        this.#deps.log.warn("cleaning up after a build step", { error: messageOf(error.error) });
      throw causeOf(error);
    }
  }

  /** Runs a program that is spoken with, on a root that is thrown away. */
  async converse(step: StepContext<ExecOp>, stdio: StepStdio): Promise<void> {
    this.#refuse(step);
    try {
      await this.#execute(step, new Map(), stdio);
    } catch (error) {
      throw causeOf(error);
    }
  }

  #refuse({ op, entitlements = [] }: StepContext<ExecOp>): void {
    refuseUnentitled(op, entitlements, (name) => hasDevice(this.#deps.facts, name));
    refuseUnmappable(this.#deps, op);
  }

  /**
   * Ends and removes what an earlier daemon left. Call before the first step and before stale snapshots are removed, which it has mounted.
   * Addresses of its networks are released with those of containers that no longer run.
   */
  async recover(): Promise<void> {
    const { root, log } = this.#deps;
    for (const { id, directory, runtime, cgroups } of abandonedSteps(root)) {
      log.info("removing what a crash left of a build step", { id });
      try {
        killCgroup(cgroups, SIGKILL);
        await this.#deleteContainer({ id, directory, cgroups }, runtime);
        // Where nobody else does: systemd knows nothing of v1 controllers that it does not use.
        removeEmptyCgroup(scopeAround(cgroups));
        await removeWorkspace(directory);
      } catch (error) {
        log.error("could not remove what a crash left of a build step", { id, error: messageOf(error) });
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#namespaces[Symbol.asyncDispose]();
    await this.#cgroups[Symbol.asyncDispose]();
  }

  /** `kept`: what is written to for good, by index of the mount, -1 for the root. */
  async #execute(
    step: StepContext<ExecOp>,
    kept: ReadonlyMap<number, ActiveStep>,
    stdio?: StepStdio,
  ): Promise<void> {
    const { op } = step;
    const deps = this.#deps;
    const id = randomId() as ContainerId;
    const runtime = deps.runtime();
    await using undo = new AsyncDisposableStack();
    const active =
      kept.get(-1) ?? undo.use(await deps.snapshots.scratch(snapshotOf(step, op.root), step.signal));
    const namespace = this.#namespace(op, undo);
    const { cgroup, release } = await this.#cgroups.acquire(id, op.cgroupParent);
    undo.defer(release);
    const cgroups = cgroupPathsFor(deps.hierarchy, cgroup.own);
    const work = openWorkspace(deps.root, { id, cgroups, runtime: runtime.name, remap: deps.remap });
    undo.defer(() => removeWorkspace(work.directory));
    mountActive({ deps }, active, work.rootfs);
    undo.defer(() => void unmountIfMounted(work.rootfs));
    const context: MountContext = { deps, step, work, undo, kept, views: new Map(), tmpfs: new Set() };
    const prepared = await prepareMounts(context);
    using root = RootedDir.open(work.rootfs);
    using targets = new MountTargets(root);
    const files = await networkFiles(deps, op, { directory: work.directory, namespace: await namespace });
    const mounts = makePlaces(targets, prepared.mounts, files);
    try {
      makeWorkingDirectory(root, op.cwd);
      const shared = { id, cgroup, root, rootfs: work.rootfs };
      const parts = { ...shared, prepared, mounts, namespace: await namespace };
      const { spec } = generateSpec(stepSpecInput(deps, op, parts));
      const end = await this.#runContainer(step, { work, runtime, cgroups, spec }, stdio);
      if (!(op.validExitCodes ?? [0]).includes(end.exitCode)) await this.#fail(step, end);
    } finally {
      targets.remove();
    }
    for (const { layout } of kept.values()) await refuseLeakedSecrets(layout, prepared.secrets, step.signal);
  }

  /** Throws why a step failed, when its log says what there is to say. */
  async #fail({ op, progress }: StepContext<ExecOp>, end: StepEnd): Promise<void> {
    const { hostPlatform, emulation } = this.#deps;
    const foreign = missingEmulator(op.platform, hostPlatform, emulation(op.platform));
    const hint = foreignHint(end, foreign);
    if (hint !== undefined) await progress.log("stderr", Buffer.from(hint));
    const failure = stepFailure(op.args, end, foreign);
    if (failure) throw failure;
  }

  /** The step's network is made while its root is. */
  #namespace(op: ExecOp, undo: AsyncDisposableStack): Promise<StepNamespace | undefined> {
    const namespace = this.#namespaces.acquire(op.network);
    namespace.catch(() => undefined); // told to who awaits it below
    undo.defer(async () => {
      const had = await namespace.catch(() => undefined);
      if (had) await this.#namespaces.release(had, op.security !== "insecure");
    });
    return namespace;
  }

  async #runContainer(
    step: StepContext<ExecOp>,
    container: {
      readonly work: Workspace;
      readonly runtime: OciRuntime;
      readonly cgroups: CgroupPaths;
      readonly spec: OciSpec;
    },
    stdio?: StepStdio,
  ): Promise<StepEnd> {
    const { work, runtime, cgroups, spec } = container;
    const { log } = this.#deps;
    if (spec.process?.apparmorProfile === APPARMOR_PROFILE) await keepApparmorProfile(log);
    writeFileSync(join(work.directory, "config.json"), stringifySpec(await runtime.prepare(spec)), {
      mode: 0o600,
    });
    this.#moves.ready();
    const { program, args } = runtime.command();
    const run = [
      ...[program, ...args, ...runtimeLog(work.directory).args, "run", ...(runtime.runOptions ?? [])],
      ...["--bundle", work.directory, work.id],
    ];
    try {
      const end = await runStepProcess({
        command: run,
        directory: work.directory,
        cgroups,
        signal: step.signal,
        ...(stdio && { input: stdio.input }),
        output: (stream, bytes) =>
          stdio && stream === "stdout" ? stdio.output(bytes) : step.progress.log(stream, bytes),
      });
      if (end.complaint !== undefined) {
        const text = startComplaint(runtime.name, step.op.args, end.complaint);
        await step.progress.log("stderr", Buffer.from(text));
      }
      return end;
    } finally {
      await this.#deleteContainer({ id: work.id, directory: work.directory, cgroups }, runtime.name);
    }
  }

  /** What the runtime itself left: it cleans up after a container that ended, not after one that was killed with it. */
  async #deleteContainer(
    container: { readonly id: string; readonly directory: string; readonly cgroups: CgroupPaths },
    name: string,
  ): Promise<void> {
    const { id, directory, cgroups } = container;
    const runtime = this.#deps.runtime(name || undefined);
    if (runtime.name === name || name === "")
      await runtime.delete({ id, pid: 0, bundle: directory, cgroups, hooks: false });
    else removeCgroup(cgroups);
  }
}
