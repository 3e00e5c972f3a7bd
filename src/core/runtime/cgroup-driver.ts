import { statSync } from "node:fs";
import { posix } from "node:path";
import { invalid } from "../../base/lib/errors.ts";
import type { CgroupHierarchy } from "../../base/sys/cgroup/cgroup.ts";

/** Who makes the containers' cgroups: the runtime by itself, or systemd as scopes below a slice. */
export type CgroupDriver = "cgroupfs" | "systemd";

/** Where containers go below with the systemd driver, unless told otherwise; Docker's choice. */
const DEFAULT_SLICE = "system.slice";

/** Whether systemd is this host's init (sd_booted(3)). */
export function runsSystemd(): boolean {
  return statSync("/run/systemd/system", { throwIfNoEntry: false })?.isDirectory() === true;
}

/**
 * The driver of a host where nobody chose: on cgroup v2 the tree belongs to systemd where systemd runs (systemd's "CGROUP_DELEGATION",
 * the single-writer rule), everywhere else the runtime writes.
 */
export function defaultCgroupDriver(hierarchy: CgroupHierarchy, systemd = runsSystemd()): CgroupDriver {
  return hierarchy.version === "v2" && systemd ? "systemd" : "cgroupfs";
}

/** How a daemon's containers are laid out in the cgroup tree. */
export interface CgroupLayout {
  readonly driver: CgroupDriver;
  /** The parent of containers that name none: a path, or a slice. */
  readonly parent: string;
  /** What scopes are called before the container's id. */
  readonly scope: string;
}

/** Throws Docker's words for a parent that the driver cannot use. */
export function checkCgroupParent(driver: CgroupDriver, parent: string): void {
  if (driver !== "systemd" || parent === "") return;
  if (!/^[^/]+\.slice$/.test(parent) || parent.startsWith("-") || parent.includes("--"))
    throw invalid('cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"');
}

/** The layout of a daemon; `parent` is its --cgroup-parent. */
export function cgroupLayout(
  driver: CgroupDriver,
  parent: string | undefined,
  instance: string,
): CgroupLayout {
  checkCgroupParent(driver, parent ?? "");
  return {
    driver,
    parent: parent ?? (driver === "systemd" ? DEFAULT_SLICE : `/${instance}`),
    scope: instance,
  };
}

/**
 * `linux.cgroupsPath` of a container, below the root of each tree. With systemd it is a cgroup in the container's scope: the scope is
 * delegated to us, and the monitor lives in it too (scope.ts).
 */
export function cgroupsPathOf(layout: CgroupLayout, parent: string | undefined, id: string): string {
  if (layout.driver === "cgroupfs") return posix.join("/", parent || layout.parent, id);
  return `${scopePathOf(layout, parent, id)}/${PAYLOAD}`;
}

/** Where systemd puts the scope of that name below a slice. */
export function scopePathOf(layout: CgroupLayout, slice: string | undefined, name: string): string {
  return `${sliceDirectory(slice || layout.parent)}/${layout.scope}-${name}.scope`;
}

/** The container's own cgroup in its scope; the name that crun and systemd-nspawn have made known. */
export const PAYLOAD = "container";

/** Whether a cgroup is the container's alone by its name: named for it, or in the scope named for it. */
export function isNamedFor(path: string, id: string): boolean {
  return posix.basename(path).includes(id) || inScopeOf(path, id);
}

/** A cgroup of the kernel's that belongs to the container with that scope, or lies in it. */
export function inScopeOf(path: string, id: string): boolean {
  return path.split("/").some((word) => word.endsWith(`-${id}.scope`));
}

/** A slice lies below those its name begins with: a-b.slice in a.slice (systemd.slice(5)). "-.slice" is the root. */
function sliceDirectory(slice: string): string {
  const words = slice.slice(0, -".slice".length).split("-");
  if (slice === "-.slice") return "";
  return words.map((_, at) => `/${words.slice(0, at + 1).join("-")}.slice`).join("");
}
