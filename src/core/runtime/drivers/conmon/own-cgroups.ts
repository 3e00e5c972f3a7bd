import { basename } from "node:path";
import {
  type CgroupHierarchy,
  type CgroupPaths,
  cgroupPathsFor,
  cgroupsOf,
} from "../../../../base/sys/cgroup/cgroup.ts";
import { inScopeOf, isNamedFor } from "../../cgroup-driver.ts";
import type { OciSpec } from "../../runtime.ts";

/** The cgroups that are to be this container's alone: a path that does not name it is never touched. */
export function plannedCgroups(hierarchy: CgroupHierarchy, id: string, spec: OciSpec): CgroupPaths {
  const path = (spec["linux"] as { cgroupsPath?: unknown } | undefined)?.cgroupsPath;
  if (typeof path !== "string" || !path.startsWith("/") || !isNamedFor(path, id)) return {};
  return cgroupPathsFor(hierarchy, path);
}

/** Those that its process was put into: systemd's scope, what was planned, or what names the container. */
export function actualCgroups(
  hierarchy: CgroupHierarchy,
  id: string,
  pid: number,
  planned: CgroupPaths,
): CgroupPaths {
  const found = Object.entries(cgroupsOf(hierarchy, pid) ?? {});
  const scoped = found.filter(([, path]) => inScopeOf(path, id));
  if (scoped.length > 0) return Object.fromEntries(scoped);
  if (Object.keys(planned).length > 0) return planned;
  return Object.fromEntries(found.filter(([, path]) => basename(path).includes(id)));
}
