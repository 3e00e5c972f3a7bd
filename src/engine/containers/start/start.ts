import { mkdir } from "node:fs/promises";
import { causeOf, conflict, messageOf, TugError } from "../../../base/lib/errors.ts";
import type { ContainerId } from "../../../base/lib/ids.ts";
import { formatRfc3339Nano } from "../../../base/lib/timestamp.ts";
import { removeDirectory } from "../../../base/sys/remove-tree.ts";
import type { SpecMount } from "../../../core/runtime/spec.ts";
import type { ContainerContext } from "../context.ts";
import { emitContainer } from "../events.ts";
import { openLog } from "../log-handle.ts";
import { parseNetworkMode } from "../network-mode.ts";
import type { ContainerRecord } from "../record.ts";
import { allocateEndpoints, attachEndpoints } from "./endpoints.ts";
import { makeMountTargets } from "./mount-targets.ts";
import { identityFiles, writeNetworkFiles } from "./network-files.ts";
import { mountMappedRootfs } from "./remap.ts";
import { mountRootfs, mountVolumes } from "./rootfs.ts";
import { mountSecrets } from "./secrets.ts";
import { mountSharedMemory } from "./shared-memory.ts";
import { specInput } from "./spec-input.ts";

export interface StartChange {
  readonly restartCount?: number;
  /** Goes on where a checkpoint was taken, instead of beginning anew. */
  readonly checkpoint?: string;
}

/**
 * Starts a container; the caller holds its lock. Root file system and addresses are prepared side by side, the container
 * is created by its monitor, its endpoints are plumbed into the namespace by pid, waiting attachments are connected, and
 * only then does it run. Any failure undoes all of it and is written to State.Error, as Docker does.
 */
export async function startContainer(
  context: ContainerContext,
  id: ContainerId,
  change: StartChange = {},
): Promise<ContainerRecord> {
  const record = context.store.resolve(id);
  refuseUnlessStartable(record);
  const live = context.live.of(id);
  live.restart?.abort();
  live.restart = undefined;
  live.stopRequested = false;
  const started = await bringUp(context, record, change).catch((error: unknown) => {
    throw startFailed(context, record, error);
  });
  emitContainer(context, started, "start");
  live.health = context.hooks.running(started);
  return started;
}

/** Records a start that failed and was undone; returns why it failed. */
function startFailed(context: ContainerContext, record: ContainerRecord, error: unknown): unknown {
  const { id, state } = record;
  const cause = causeOf(error);
  if (error instanceof SuppressedError)
    context.log.warn("undoing a failed start", { id, error: messageOf(error.error) });
  context.store.noteState(
    id,
    {
      status: state.status === "restarting" ? "exited" : state.status,
      error: messageOf(cause),
      exitCode: cause instanceof TugError ? (cause.detail.exitCode ?? 128) : 128,
      pid: 0,
      endpoints: {},
    },
    (unwritten) => context.log.error("a failed start could not be written", { id, error: unwritten }),
  );
  return cause;
}

function refuseUnlessStartable(record: ContainerRecord): void {
  switch (record.state.status) {
    case "paused":
      throw conflict("cannot start a paused container, try unpause instead");
    case "running":
      throw new TugError("not-modified", "container is already running");
    case "removing":
    case "dead":
      throw conflict("container is marked for removal and cannot be started");
    default:
  }
}

async function bringUp(
  context: ContainerContext,
  record: ContainerRecord,
  change: StartChange,
): Promise<ContainerRecord> {
  const { id } = record;
  const { host, config } = record.definition;
  const mode = parseNetworkMode(host.NetworkMode);
  const dirs = context.paths.task(id);
  await using undo = new AsyncDisposableStack();
  // Last of all, when nothing is mounted below it any more.
  undo.defer(() => removeDirectory(dirs.state));
  // Side by side: each has its own stack, so that one failing while the other still works loses nothing.
  const rootUndo = undo.use(new AsyncDisposableStack());
  const networkUndo = undo.use(new AsyncDisposableStack());
  const [root, net, log] = await allOrFirstError([
    prepareRoot(context, record, rootUndo),
    prepareNetwork(context, record, networkUndo),
    openLog(context, record),
  ] as const);
  const shared = mode.kind === "container" ? context.store.resolve(mode.container) : record;
  const asked = root.mounts.some((mount) => mount.target === "/dev/shm")
    ? root.mounts
    : [...mountSharedMemory(context, record, rootUndo), ...root.mounts];
  const secrets = mountSecrets(context, record, rootUndo);
  const mounts = [...identityMounts(context, shared, root.mounts), ...asked, ...secrets];
  makeMountTargets(root.rootfs, mounts);
  const input = specInput(context, record, root.rootfs, mounts);
  const { spec } = context.spec.generate(input);
  await mkdir(dirs.state, { recursive: true, mode: 0o700 });
  mountMappedRootfs(context, record);
  // Before it runs, as in Docker: `logs --since` this time shows all that this run has written.
  let startedAt = context.clock.now();
  const task = await context.runtime.create({
    id,
    dirs,
    spec,
    rootfs: root.rootfs,
    tty: config.Tty ?? false,
    openStdin: config.OpenStdin ?? false,
    stdinOnce: config.StdinOnce ?? false,
    logTarget: log.monitorTarget,
    logLimit: log.monitorLimit,
    ...(host.Runtime ? { runtime: host.Runtime } : {}),
    ...(change.checkpoint === undefined ? {} : { restore: { image: change.checkpoint, options: [] } }),
  });
  undo.defer(() => context.runtime.delete(id, { force: true }));
  const endpoints = await attachEndpoints(context, record, net, task.pid, undo);
  const live = context.live.of(id);
  await Promise.all([...live.pending].map((attachment) => attachment.connect()));
  live.pending.clear();
  // A restored task runs already.
  if (change.checkpoint === undefined) {
    startedAt = context.clock.now();
    await context.runtime.start(id);
  }
  live.startedMonotonic = context.clock.monotonic();
  const started = context.store.setState(id, {
    status: "running",
    pid: task.pid,
    exitCode: 0,
    error: "",
    oomKilled: false,
    startedAt: formatRfc3339Nano(BigInt(startedAt) * 1_000_000n),
    stoppedByUser: false,
    everStarted: true,
    endpoints,
    // The log of earlier runs stays, as in Docker.
    health: record.state.health && { ...record.state.health, status: "starting", failingStreak: 0 },
    restartCount: change.restartCount ?? 0,
  });
  undo.move();
  return started;
}

async function prepareRoot(
  context: ContainerContext,
  record: ContainerRecord,
  undo: AsyncDisposableStack,
): Promise<{ readonly rootfs: string; readonly mounts: readonly SpecMount[] }> {
  const rootfs = await mountRootfs(context, record, undo);
  return { rootfs, mounts: await mountVolumes(context, record, undo) };
}

async function prepareNetwork(
  context: ContainerContext,
  record: ContainerRecord,
  undo: AsyncDisposableStack,
) {
  const allocated = await allocateEndpoints(context, record, undo);
  const mode = parseNetworkMode(record.definition.host.NetworkMode);
  if (mode.kind !== "container") {
    await writeNetworkFiles(context, record, {
      host: mode.kind === "host",
      endpoints: allocated.map(({ endpoint }) => endpoint),
      networks: allocated.map(({ network }) => network),
    });
  }
  return allocated;
}

/** /etc/hostname, hosts, resolv.conf, unless the user mounts something of his own there. */
function identityMounts(
  context: ContainerContext,
  owner: ContainerRecord,
  taken: readonly SpecMount[],
): readonly SpecMount[] {
  return identityFiles(context.paths.dir(owner.id))
    .filter(({ target }) => !taken.some((mount) => mount.target === target))
    .map(({ target, source }) => ({
      type: "bind",
      target,
      source,
      readonly: owner.definition.host.ReadonlyRootfs ?? false,
      options: ["rbind", "rprivate", "ro-non-recursive"],
    }));
}

/** Waits for all even when one fails: nothing may still be running while its undo stack unwinds. */
async function allOrFirstError<T extends readonly unknown[]>(
  work: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const results = await Promise.allSettled(work);
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
  return results.map((result) => (result.status === "fulfilled" ? result.value : undefined)) as never;
}
