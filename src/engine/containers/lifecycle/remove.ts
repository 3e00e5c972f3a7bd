import { conflict, isCode, messageOf, TugError } from "../../../base/lib/errors.ts";
import { removeDirectory } from "../../../base/sys/remove-tree.ts";
import type { ContainerContext } from "../context.ts";
import { emitContainer } from "../events.ts";
import { openLog } from "../log-handle.ts";
import { type ContainerRecord, isRunning } from "../record.ts";
import { unmountAll } from "../start/rootfs.ts";
import { killAndWait } from "./kill.ts";
import { outcomeOf } from "./wait.ts";

/** `docker rm`: refuses a running container unless forced, which kills it first. */
export async function removeOnRequest(
  context: ContainerContext,
  reference: string,
  options: { readonly force: boolean; readonly volumes: boolean; readonly link: boolean },
): Promise<void> {
  const record = context.store.resolve(reference);
  if (options.link) {
    throw conflict("Conflict, cannot remove the default link name of the container");
  }
  if (record.state.status === "removing") {
    throw conflict(`removal of container ${reference} is already in progress`);
  }
  for (let starts = 0; ; starts++) {
    const seen = context.store.get(record.id);
    if (seen && isRunning(seen)) {
      if (!options.force || starts === maxStarts) throw stillRunning(seen);
      await killAndWait(context, seen);
    }
    const started = await context.locks.run(record.id, async () => {
      const now = context.store.get(record.id);
      // --rm or another request was faster.
      if (!now) return false;
      // A start was under way before.
      if (isRunning(now)) return true;
      await removeContainer(context, now, options);
      return false;
    });
    if (!started) return;
  }
}

/** So often a forced removal kills what somebody starts in the same moment. */
const maxStarts = 10;

function stillRunning(record: ContainerRecord): TugError {
  return conflict(`cannot remove container ${JSON.stringify(`/${record.name}`)}: ${whyNot(record)}`);
}

function whyNot(record: ContainerRecord): string {
  if (record.state.status === "paused") return "container is paused and must be unpaused first";
  const state = record.state.status === "restarting" ? "restarting" : "running";
  return `container is ${state}: stop the container before removing or force remove`;
}

/**
 * Removes all that belongs to a container that does not run; the caller holds the lock. The record goes last: a crash in
 * between leaves it as "removing", and recovery ends the work.
 */
export async function removeContainer(
  context: ContainerContext,
  record: ContainerRecord,
  options: { readonly volumes: boolean },
): Promise<void> {
  const { id } = record;
  const live = context.live.of(id);
  live.restart?.abort();
  context.store.setState(id, { status: "removing", removeVolumes: options.volumes });
  const dirs = context.paths.task(id);
  try {
    await context.runtime.delete(id, { force: true });
    await unmountAll(context, record);
    const log = await openLog(context, record).catch((error: unknown) => {
      context.log.warn("opening the log of a container to remove", { id, error });
      return undefined;
    });
    await log?.remove();
    await Promise.all([
      context.snapshots.remove(id),
      removeDirectory(context.paths.dir(id)),
      removeDirectory(dirs.state),
    ]);
    await releaseVolumes(context, record, options.volumes);
  } catch (error) {
    context.store.setState(id, { status: "dead", error: messageOf(error) });
    throw new TugError("internal", `container ${id}: ${messageOf(error)}`, { cause: error });
  }
  context.store.delete(id);
  for (const attachment of live.pending) attachment.cancel();
  live.pending.clear();
  emitContainer(context, record, "destroy");
  context.live.settle(id, "exited", outcomeOf(record));
  // Who waits for the removal hears of errors of the removal only; the CLI would print a failed start twice.
  context.live.settle(id, "removed", { StatusCode: record.state.exitCode });
  context.live.forget(id);
  if (record.definition.host.AutoRemove) context.live.depart(id, { StatusCode: record.state.exitCode });
}

async function releaseVolumes(
  context: ContainerContext,
  record: ContainerRecord,
  removeAnonymous: boolean,
): Promise<void> {
  for (const mount of record.definition.mounts) {
    if (mount.type !== "volume") continue;
    context.volumes.release(mount.name, record.id);
    if (!removeAnonymous || !mount.anonymous) continue;
    try {
      await context.volumes.remove(mount.name, { force: false });
    } catch (error) {
      // Another container took it with --volumes-from, or it is gone already.
      if (!isCode(error, "conflict") && !isCode(error, "not-found")) throw error;
    }
  }
}
