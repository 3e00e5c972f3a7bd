import { posix } from "node:path";
import { conflict, invalid, TugError } from "../../../base/lib/errors.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import { RootedDir } from "../../../base/sys/rooted-dir.ts";
import type { ContainerContext } from "../context.ts";
import type { ContainerRecord } from "../record.ts";
import { mountRootfs } from "../start/rootfs.ts";

/**
 * What `create` already does in the container's root, for those who look before the first start (cp, --volumes-from, the
 * other containers of a volume): makes the working directory, and fills new volumes with what the image has in their place.
 */
export async function prepareRoot(context: ContainerContext, record: ContainerRecord): Promise<void> {
  const { config, mounts } = record.definition;
  const cwd = workingDirectory(config.WorkingDir ?? "");
  const fresh = mounts.flatMap((mount) => (mount.type === "volume" && mount.copy ? [mount] : []));
  if (cwd === "/" && fresh.length === 0) return;
  await using undo = new AsyncDisposableStack();
  const rootfs = await mountRootfs(context, record, undo);
  using root = RootedDir.open(rootfs);
  makeWorkingDirectory(root, cwd);
  for (const target of Object.keys(config.Volumes ?? {})) refuseFile(root, rootfs, target);
  const holder = `${record.id}-create`;
  for (const mount of fresh) {
    if (root.tryStat(mount.target)?.kind !== "directory") continue;
    await context.volumes.mount(mount.name, holder);
    undo.defer(() => context.volumes.unmount(mount.name, holder));
    await context.volumes.populate(mount.name, rootfs, mount.target);
  }
}

/** The cleaned path; "/" when none is asked for. */
export function workingDirectory(path: string): string {
  const cwd = posix.normalize(path || "/").replace(/(.)\/$/, "$1");
  // A descriptor of the runtime must never become the working directory (CVE-2024-21626).
  if (/^\/proc\/[^/]+\/(?:fd|cwd|root|task|map_files)(?:\/|$)/.test(cwd)) {
    throw invalid(`the working directory '${path}' is invalid, it leads out of the container`);
  }
  return cwd;
}

/** Makes it inside the root, owned by root, as Docker does: a dangling link on the way gets what it leads to. */
export function makeWorkingDirectory(root: RootedDir, cwd: string): void {
  try {
    if (cwd !== "/") root.mkdirAllThroughLinks(cwd, 0o755);
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENOTDIR") {
      throw new TugError("runtime-command", `Cannot mkdir: ${cwd} is not a directory`, {
        cause: error,
        detail: { exitCode: 126 },
      });
    }
    if (error instanceof SystemError && error.code !== "EROFS") {
      throw new TugError("internal", `mkdir ${cwd}: ${error.message}`, { cause: error });
    }
  }
}

/** An anonymous volume over a file cannot work. */
function refuseFile(root: RootedDir, rootfs: string, target: string): void {
  const found = root.tryStat(target);
  if (found && found.kind !== "directory") {
    throw conflict(`cannot mount volume over existing file, file exists ${posix.join(rootfs, target)}`);
  }
}
