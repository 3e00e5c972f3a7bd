import { existsSync } from "node:fs";
import { notFound } from "../../base/lib/errors.ts";
import { type ContainerId, randomId } from "../../base/lib/ids.ts";
import { errnoOf } from "../../base/lib/storage-error.ts";
import type { TugHostConfig } from "../../base/spec/docker/extensions.ts";
import { inOtherUserNamespace } from "../../base/sys/mount/idmap.ts";
import { processStat } from "../../base/sys/process/pidfd.ts";
import { ViewEnded } from "../../core/files/client.ts";
import type { BindView, FilesView } from "../../core/files/protocol.ts";
import type { ContainerContext } from "../containers/context.ts";
import { emitVolume } from "../containers/events.ts";
import { parseNetworkMode } from "../containers/network-mode.ts";
import { type ContainerRecord, isAlive } from "../containers/record.ts";
import { identityFiles } from "../containers/start/network-files.ts";
import { secretsPath } from "../containers/start/secrets.ts";

/**
 * What `cp` looks at: of a running container what its processes see, of any other its layers with its volumes in place.
 * `undo` lets go of the volumes that were made ready for it.
 */
export async function cpView(
  context: ContainerContext,
  record: ContainerRecord,
  purpose: "read" | "write",
  undo: AsyncDisposableStack,
): Promise<FilesView> {
  if (isAlive(record)) return runningView(context, record);
  return {
    kind: "stopped",
    scratch: context.paths.dir(record.id),
    root: stoppedRoot(context, record, purpose),
    binds: await binds(context, record, undo),
  };
}

function runningView(context: ContainerContext, record: ContainerRecord): FilesView {
  const { pid } = record.state;
  const startTime = processStat(pid)?.startTime;
  if (startTime === undefined) throw new ViewEnded(`process ${pid} is gone`);
  const { mounts, host } = record.definition;
  const entered = [...mounts.map((mount) => mount.target), ...Object.keys(host.Tmpfs ?? {})];
  // Only what runs in the container reads its secrets: copies would lie about in plain, as Docker's would of a swarm's.
  const { Secrets: secrets = [] } = host as TugHostConfig;
  const hidden = secrets.length > 0 ? { hidden: secretsPath(context, record) } : {};
  return { kind: "running", pid, startTime, entered, ...hidden, userOf: userOf(pid) };
}

/** The process itself where it has a user namespace of its own. */
function userOf(pid: number): number | undefined {
  try {
    return inOtherUserNamespace(pid) ? pid : undefined;
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(errnoOf(error) ?? "")) throw new ViewEnded(`process ${pid} is gone`);
    throw error;
  }
}

/** What `export` writes: the root file system without volumes. */
export function exportView(context: ContainerContext, record: ContainerRecord): FilesView {
  if (isAlive(record)) {
    return { kind: "directory", path: context.paths.rootfs(record.id), userOf: userOf(record.state.pid) };
  }
  return {
    kind: "stopped",
    scratch: context.paths.dir(record.id),
    root: stoppedRoot(context, record, "read"),
    binds: [],
  };
}

/** Looking never mounts the writable layer as such, so that it needs no lock and disturbs no start. */
function stoppedRoot(context: ContainerContext, record: ContainerRecord, purpose: "read" | "write") {
  const layout = purpose === "read" ? context.snapshots.layout(record.id) : undefined;
  if (layout?.kind === "overlay") {
    const layers = [layout.upper, ...layout.lowers];
    return { kind: "layers", layers, ...(layout.marks ? { marks: true } : {}) } as const;
  }
  return { kind: "mounts", mounts: context.snapshots.mounts(record.id) } as const;
}

async function binds(
  context: ContainerContext,
  record: ContainerRecord,
  undo: AsyncDisposableStack,
): Promise<readonly BindView[]> {
  const found: BindView[] = identityBinds(context, record);
  const holder = `${record.id}-files-${randomId().slice(0, 12)}`;
  for (const mount of record.definition.mounts) {
    const shared = { target: mount.target, readonly: mount.readonly };
    switch (mount.type) {
      case "bind":
        // A source that is gone fails a start; a look at the other files it need not.
        if (existsSync(mount.source)) {
          found.push({ ...shared, source: { kind: "path", path: mount.source, subpath: "" } });
        }
        break;
      case "volume": {
        const path = await context.volumes.mount(mount.name, holder);
        emitVolume(context, record, mount, "mount");
        undo.defer(async () => {
          await context.volumes.unmount(mount.name, holder);
          emitVolume(context, record, mount, "unmount");
        });
        found.push({ ...shared, source: { kind: "path", path, subpath: mount.subpath } });
        break;
      }
      case "image": {
        const image = context.images.get(mount.imageId);
        if (!image?.chainId) throw notFound(`No such image: ${mount.source}`);
        const mounts = context.snapshots.mounts(image.chainId);
        found.push({ ...shared, readonly: true, source: { kind: "mounts", mounts, subpath: mount.subpath } });
        break;
      }
      case "tmpfs":
        // Its files ended with the processes.
        break;
    }
  }
  return found.sort((a, b) => a.target.split("/").length - b.target.split("/").length);
}

/** /etc/hosts, hostname and resolv.conf, once there are any, unless a mount of the user's stands there. */
function identityBinds(context: ContainerContext, record: ContainerRecord): BindView[] {
  const mode = parseNetworkMode(record.definition.host.NetworkMode);
  const owner = mode.kind === "container" ? context.store.get(mode.container as ContainerId) : record;
  if (!owner) return [];
  return identityFiles(context.paths.dir(owner.id))
    .filter(
      ({ target, source }) =>
        existsSync(source) && !record.definition.mounts.some((one) => one.target === target),
    )
    .map(({ target, source: path }) => ({
      target,
      readonly: record.definition.host.ReadonlyRootfs ?? false,
      source: { kind: "path", path, subpath: "" },
    }));
}
