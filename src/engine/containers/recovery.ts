import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ContainerId } from "../../base/lib/ids.ts";
import { unmountIfMounted } from "../../base/sys/mount/mount.ts";
import { processAgeMs } from "../../base/sys/process/pidfd.ts";
import { removeDirectory } from "../../base/sys/remove-tree.ts";
import type { Sandbox } from "../../core/network/network.ts";
import { restartsAtBoot } from "../restart/policy.ts";
import type { ContainerContext } from "./context.ts";
import { newVolumesOf } from "./create/new-volumes.ts";
import { letGo, settleExit } from "./lifecycle/exit.ts";
import { removeContainer } from "./lifecycle/remove.ts";
import { openLog } from "./log-handle.ts";
import { type ContainerRecord, isAlive } from "./record.ts";
import { startInOrder } from "./start-order.ts";

/**
 * Makes records and world agree after the daemon was away, however it ended: running containers are re-adopted, exits that
 * happened meanwhile are recorded with their real code and time, half-done operations are undone or finished, and what no
 * record names is removed. Returns the work that may go on while the daemon already serves: the starts of policies.
 */
export async function recoverContainers(
  context: ContainerContext,
  options: { readonly machineWentDown: boolean },
): Promise<{ readonly startWanted: () => Promise<void> }> {
  const { store, log } = context;
  const ended: (() => Promise<void>)[] = [];
  const toStart: ContainerRecord[] = [];
  const live = new Map<ContainerId, Sandbox>();
  for (const record of [...store.list()]) {
    if (options.machineWentDown && isWithoutLayer(context, record)) {
      log.info("the machine went down while a container was being made or removed", {
        id: record.id,
        name: record.name,
      });
      ended.push(() => removeContainer(context, record, { volumes: false }));
      continue;
    }
    try {
      const observed = await context.runtime.observe(record.id, context.paths.task(record.id));
      const wasRunning = isAlive(record) || record.state.status === "restarting";
      if (isAlive(record) && observed.status === "running") {
        live.set(record.id, { containerId: record.id, pid: observed.pid });
        // Frozen, but not by `pause`: a commit was under way when the daemon died.
        const abandoned = observed.paused && record.state.status === "running";
        if (abandoned) await context.runtime.resume(record.id);
        const now = store.setState(record.id, {
          status: observed.paused && !abandoned ? "paused" : "running",
          pid: observed.pid,
        });
        const ageMs = processAgeMs(observed.pid);
        if (ageMs !== undefined)
          context.live.of(now.id).startedMonotonic =
            context.clock.monotonic() - BigInt(Math.trunc(ageMs)) * 1_000_000n;
        await openLog(context, now);
        context.live.of(now.id).health = context.hooks.running(now);
        continue;
      }
      if (isAlive(record) && observed.status === "exited") {
        ended.push(async () => {
          await settleExit(context, record, observed);
          startInTurn(context, record.id, toStart);
        });
        continue;
      }
      ended.push(() => repairStopped(context, record, wasRunning, toStart));
    } catch (error) {
      log.error("could not recover a container", { id: record.id, error });
    }
  }
  for (const id of store.setAside) {
    try {
      const observed = await context.runtime.observe(id, context.paths.task(id));
      if (observed.status === "running") live.set(id, { containerId: id, pid: observed.pid });
    } catch (error) {
      log.error("could not look at a container whose record cannot be read", { id, error });
    }
  }
  await context.networks.restore(live);
  for (const work of ended) {
    await work().catch((error: unknown) => log.error("could not repair a container", { error }));
  }
  await releaseStaleEndpoints(context);
  await removeOrphans(context);
  return { startWanted: () => startInOrder(context, toStart) };
}

/**
 * Records of containers and those of layers are on disk at different moments: one may tell of what the other no longer, or not yet, has.
 * Its volumes stay.
 */
function isWithoutLayer({ snapshots }: ContainerContext, { id, definition }: ContainerRecord): boolean {
  return definition.driver === snapshots.name && snapshots.stat(id)?.kind !== "active";
}

/** A container that does not run now: ends what a crash left half-done, then decides whether it must be started. */
async function repairStopped(
  context: ContainerContext,
  record: ContainerRecord,
  wasRunning: boolean,
  toStart: ContainerRecord[],
): Promise<void> {
  const { store } = context;
  const { id } = record;
  if (record.state.status === "removing" || record.state.status === "dead") {
    const volumes = record.state.removeVolumes ?? record.definition.host.AutoRemove ?? false;
    await removeContainer(context, record, { volumes });
    return;
  }
  // A start that the crash interrupted may have left a task that nobody asked to keep.
  await context.runtime.delete(id, { force: true });
  await letGo(context, record);
  // The machine was rebooted under it: nobody knows how it ended.
  const now = isAlive(record)
    ? store.setState(id, {
        status: "exited",
        pid: 0,
        exitCode: 255,
        finishedAt: new Date(context.clock.now()).toISOString(),
        endpoints: {},
      })
    : store.setState(id, { pid: 0, endpoints: {} });
  if (now.state.status === "restarting") return startInTurn(context, id, toStart);
  const boot = {
    policy: now.definition.host.RestartPolicy,
    stoppedByUser: now.state.stoppedByUser,
    wasRunning,
    exitCode: now.state.exitCode,
    restartCount: now.state.restartCount,
  };
  if (now.state.everStarted && restartsAtBoot(boot)) toStart.push(now);
  else if (now.state.everStarted && now.definition.host.AutoRemove) {
    await removeContainer(context, now, { volumes: true });
  }
}

/** What its restart policy would start soon starts in its turn after what it depends on. */
function startInTurn(context: ContainerContext, id: ContainerId, toStart: ContainerRecord[]): void {
  const now = context.store.get(id);
  if (now?.state.status !== "restarting") return;
  context.live.of(id).restart?.abort();
  toStart.push(now);
}

/** Endpoints that a crash left reserved for a container that does not run. */
async function releaseStaleEndpoints(context: ContainerContext): Promise<void> {
  for (const network of context.networks.list()) {
    for (const endpoint of context.networks.endpoints(network.id)) {
      if (context.store.setAside.has(endpoint.containerId)) continue;
      const record = context.store.get(endpoint.containerId);
      const held = record && Object.values(record.state.endpoints).some((one) => one.id === endpoint.id);
      if (held) continue;
      try {
        await context.networks.detach(endpoint);
        await context.networks.release(endpoint);
      } catch (error) {
        context.log.error("could not release a stale endpoint", { endpoint: endpoint.id, error });
      }
    }
  }
}

/** Directories, layers and volume claims whose container was never recorded, or is not any more. What cannot go now is tried again by the next start. */
async function removeOrphans(context: ContainerContext): Promise<void> {
  const { store, paths, log } = context;
  const isKnown = (id: ContainerId) => store.get(id) !== undefined || store.setAside.has(id);
  const isOrphan = (name: string) => /^[0-9a-f]{64}$/.test(name) && !isKnown(name as ContainerId);
  const names = await Promise.all([paths.root, paths.states].map((path) => readdir(path).catch(() => [])));
  for (const name of new Set(names.flat())) {
    if (!isOrphan(name)) continue;
    log.info("removing what a crash left of a container", { id: name });
    await removeOrphan(context, name as ContainerId).catch((error: unknown) =>
      log.error("could not remove what a crash left of a container", { id: name, error }),
    );
  }
  for (const snapshot of [...context.snapshots.list()]) {
    if (snapshot.kind !== "active" || !isOrphan(snapshot.name)) continue;
    await context.snapshots
      .remove(snapshot.name)
      .catch((error: unknown) => log.error("could not remove a stale layer", { id: snapshot.name, error }));
  }
  for (const volume of context.volumes.list()) {
    for (const holder of context.volumes.references(volume.name)) {
      if (!isKnown(holder as ContainerId)) context.volumes.release(volume.name, holder);
    }
  }
}

async function removeOrphan(context: ContainerContext, id: ContainerId): Promise<void> {
  const { paths, runtime, volumes } = context;
  await runtime.observe(id, paths.task(id));
  await runtime.delete(id, { force: true });
  unmountIfMounted(paths.rootfs(id));
  for (const name of ["shm", "secrets"]) unmountIfMounted(join(paths.task(id).state, name));
  const images = join(paths.dir(id), "images");
  // Most have none.
  for (const one of await readdir(images).catch(() => [])) unmountIfMounted(join(images, one));
  for (const volume of newVolumesOf(paths.dir(id))) {
    volumes.release(volume, id);
    if (volumes.references(volume).length === 0) await volumes.remove(volume, { force: true });
  }
  await removeDirectory(paths.dir(id));
  await removeDirectory(paths.task(id).state);
}
