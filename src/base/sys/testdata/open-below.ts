import { readdirSync, readlinkSync, realpathSync } from "node:fs";
import { errnoOf } from "../../lib/storage-error.ts";

/** How many descriptors of this process lead to `path` or below: what else it has open comes and goes meanwhile. */
export function openBelow(path: string): number {
  const real = realpathSync(path);
  return readdirSync("/proc/self/fd")
    .map(targetOf)
    .filter((target) => `${target}/`.startsWith(`${real}/`)).length;
}

/** Where a descriptor leads; the one that listed them is gone by then. */
function targetOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return "";
    throw error;
  }
}
