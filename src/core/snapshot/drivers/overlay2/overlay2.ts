import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { invalid } from "../../../../base/lib/errors.ts";
import { statFileSystem } from "../../../../base/sys/statfs.ts";
import type { SnapshotterDeps } from "../../directory-snapshots.ts";
import { directoryOptions, openOverlaySnapshots, plainOverlay } from "../../overlay-snapshots.ts";
import { ProjectQuotas } from "../../project-quotas.ts";
import { readSize } from "../../read-size.ts";
import type { Snapshotter } from "../../snapshotter.ts";

export interface Overlay2Deps extends SnapshotterDeps {
  /** Bytes that each container's layer may hold unless it says otherwise (`overlay2.size`). */
  readonly defaultSize?: number;
}

/** Snapshots on the kernel's overlay. Opens the driver on its root and repairs what a crash left there. */
export function openOverlay2(deps: Overlay2Deps): Promise<Snapshotter> {
  const { root, defaultSize } = deps;
  const quotas = ProjectQuotas.open(join(root, ".."));
  const backing = statFileSystem(join(root, "..")).name;
  if (defaultSize && !quotas) {
    throw invalid(
      backing === "xfs" || backing === "extfs"
        ? "Storage option overlay2.size not supported. Filesystem does not support Project Quota: mount it with pquota (xfs) or prjquota (ext4)"
        : `Storage Option overlay2.size only supported for backingFS XFS. Found ${backing}`,
    );
  }
  return openOverlaySnapshots(deps, {
    name: "overlay2",
    marks: false,
    quotas,
    hooks: { retire: (path) => quotas?.release(path) },
    status: () => [
      ["Backing Filesystem", backing],
      ["Supports d_type", "true"],
      ["Using metacopy", "false"],
      ["Native Overlay Diff", "true"],
      ["userxattr", "false"],
    ],
    readOptions: (options) =>
      readSize(options, {
        fallback: defaultSize,
        unknown: (key) => `Unknown option ${key}`,
        refusal: quotas
          ? undefined
          : "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
      }),
    mountWritable: (parts) => {
      const options = [...directoryOptions(parts), ...plainOverlay];
      if (parts.volatile) {
        // The kernel refuses a second volatile mount until its mark of the first is gone (overlayfs.rst, "Volatile mount").
        const mark = join(parts.work, "work", "incompat");
        if (existsSync(mark)) rmSync(mark, { recursive: true, force: true });
        options.push("volatile");
      }
      return { type: "overlay", source: "overlay", options };
    },
  });
}
