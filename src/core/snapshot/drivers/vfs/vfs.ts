import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { invalid } from "../../../../base/lib/errors.ts";
import { hostProgram } from "../../../../base/sys/process/host-program.ts";
import type { SnapshotterDeps } from "../../directory-snapshots.ts";
import { ProjectQuotas } from "../../project-quotas.ts";
import { readSize } from "../../read-size.ts";
import type { Snapshotter } from "../../snapshotter.ts";
import { openTreeSnapshots } from "../../tree-snapshots.ts";

export interface VfsDeps extends SnapshotterDeps {
  /** Copies the contents of one directory into another, metadata, links and nodes included. */
  readonly copy?: (from: string, to: string) => Promise<void>;
  /** Bytes that each container's tree may hold unless it says otherwise (`size`). */
  readonly defaultSize?: number;
}

/** graphdriver/quota: ErrQuotaNotSupported. */
const noQuota = "Filesystem does not support, or has not enabled quotas";

/**
 * Snapshots that are whole copies: for hosts or file systems where overlay cannot be mounted. Slow and large, and right
 * everywhere; a file system with reflinks shares the data. A size counts the copy of the image, too, as Docker's does.
 */
export function openVfs(deps: VfsDeps): Promise<Snapshotter> {
  const quotas = ProjectQuotas.open(join(deps.root, ".."));
  const { defaultSize, copy = copyByProcess } = deps;
  if (defaultSize && !quotas) throw invalid(`failed to set option size for vfs: ${noQuota}`);
  return openTreeSnapshots(deps, {
    name: "vfs",
    shares: false,
    hooks: { retire: (path) => quotas?.release(path) },
    status: () => [],
    readOptions: (options) =>
      readSize(options, {
        fallback: defaultSize,
        unknown: (key) => `Storage opt ${key} not supported`,
        refusal: quotas ? undefined : noQuota,
      }),
    make: async ({ directory, tree, parent, size }) => {
      if (size) quotas?.limit(directory, size);
      mkdirSync(tree);
      chmodSync(tree, 0o755);
      if (parent !== undefined) await copy(parent, tree);
    },
  });
}

/** cp(1) of coreutils keeps hard links, holes, nodes and attributes, and shares blocks where the file system can. */
async function copyByProcess(from: string, to: string): Promise<void> {
  await hostProgram(["cp", "--archive", "--reflink=auto", "--", `${from}/.`, to]);
}
