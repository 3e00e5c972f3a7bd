import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { mountSpec, unmountIfMounted } from "../../../base/sys/mount/mount.ts";
import type { SpecMount } from "../../../core/runtime/spec.ts";
import type { ContainerContext } from "../context.ts";
import { containerOfMode } from "../network-mode.ts";
import type { ContainerRecord } from "../record.ts";

/** Where a shareable container's /dev/shm lies on the host, so that others can be given the same one. */
export function sharedMemoryPath(context: ContainerContext, record: ContainerRecord): string {
  return join(context.paths.task(record.id).state, "shm");
}

/**
 * The /dev/shm of a container whose IPC namespace others may join (`--ipc shareable`), or of one that joins: a mount inside
 * a mount namespace could not be handed on.
 */
export function mountSharedMemory(
  context: ContainerContext,
  record: ContainerRecord,
  undo: AsyncDisposableStack,
): readonly SpecMount[] {
  const { host } = record.definition;
  const bind = (source: string): readonly SpecMount[] => [
    { type: "bind", target: "/dev/shm", source, readonly: false, options: ["rbind", "rprivate"] },
  ];
  if (host.IpcMode === "shareable") {
    const path = sharedMemoryPath(context, record);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    unmountIfMounted(path);
    const size = host.ShmSize ?? context.defaults.shmSize;
    mountSpec(
      { type: "tmpfs", source: "shm", options: ["nosuid", "noexec", "nodev", "mode=1777", `size=${size}`] },
      path,
    );
    undo.defer(() => void unmountIfMounted(path));
    return bind(path);
  }
  const other = containerOfMode(host.IpcMode);
  if (other === undefined) return [];
  const donor = context.store.resolve(other);
  const donorMode = donor.definition.host.IpcMode;
  if (donorMode === "host") return bind("/dev/shm");
  return donorMode === "shareable" ? bind(sharedMemoryPath(context, donor)) : [];
}
