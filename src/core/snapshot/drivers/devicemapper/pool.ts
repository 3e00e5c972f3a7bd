import { TugError } from "../../../../base/lib/errors.ts";

/** What `dmsetup status` says of a thin pool (Documentation/admin-guide/device-mapper/thin-provisioning.rst), in bytes. */
export interface PoolStatus {
  readonly dataUsed: number;
  readonly dataTotal: number;
  readonly metadataUsed: number;
  readonly metadataTotal: number;
  /** "rw", "ro" or "out_of_data_space". */
  readonly mode: string;
}

const sector = 512;
const metadataBlock = 4096;

/** Reads the lines of `dmsetup table` and `dmsetup status` of a device; undefined when it is no thin pool. */
export function parsePool(table: string, status: string): PoolStatus | undefined {
  const [, , type, , , blockSize = ""] = table.trim().split(/\s+/);
  if (type !== "thin-pool") return undefined;
  const found = /thin-pool \d+ (\d+)\/(\d+) (\d+)\/(\d+) \S+ (rw|ro|out_of_data_space)/.exec(status);
  if (!found) return undefined;
  const [metadataUsed = 0, metadataTotal = 0, dataUsed = 0, dataTotal = 0] = found.slice(1, 5).map(Number);
  const block = Number(blockSize) * sector;
  return {
    dataUsed: dataUsed * block,
    dataTotal: dataTotal * block,
    metadataUsed: metadataUsed * metadataBlock,
    metadataTotal: metadataTotal * metadataBlock,
    mode: found[5] ?? "",
  };
}

/** A pool that runs full fails the writes of everybody in it, so nothing new is begun when little is left. */
export function checkFree(pool: PoolStatus, name: string, percent: number): void {
  if (pool.mode !== "rw") {
    throw new TugError(
      "resource-exhausted",
      `devmapper: thin pool ${name} is in mode ${pool.mode}; extend it (lvextend) and repair it where needed`,
    );
  }
  for (const [kind, used, total] of [
    ["data", pool.dataUsed, pool.dataTotal],
    ["metadata", pool.metadataUsed, pool.metadataTotal],
  ] as const) {
    if ((total - used) * 100 >= total * percent) continue;
    throw new TugError(
      "resource-exhausted",
      `devmapper: thin pool ${name} has less than ${percent}% of its ${kind} space free (dm.min_free_space); remove what is not used or extend it: no space left on device`,
    );
  }
}
