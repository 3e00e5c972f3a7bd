import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CgroupPaths, controllerPath } from "../../base/sys/cgroup/cgroup.ts";
import type { OciResources } from "./runtime.ts";

/**
 * Takes the pids limit of a live container away where that is asked for, and returns what is left to change: crun 1.8 writes "-1" to
 * pids.max, which the kernel refuses, and runc 1.1 changes nothing.
 */
export function liftPidsLimit(cgroups: CgroupPaths, resources: OciResources): OciResources {
  const { pids, ...rest } = resources as OciResources & { readonly pids?: { readonly limit?: number } };
  if (pids?.limit === undefined || pids.limit >= 0) return resources;
  const directory = controllerPath(cgroups, "pids");
  if (directory) writeFileSync(join(directory, "pids.max"), "max");
  return rest;
}
