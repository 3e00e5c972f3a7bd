import type { Log } from "../../base/lib/log.ts";
import {
  type CgroupHierarchy,
  type CgroupPaths,
  cgroupPathsFor,
  probeCgroups,
} from "../../base/sys/cgroup/cgroup.ts";
import { loadApparmorProfile } from "../../core/runtime/apparmor.ts";
import type { CgroupLayout } from "../../core/runtime/cgroup-driver.ts";
import { probeHost } from "../../core/runtime/host-facts.ts";
import type { HostFacts } from "../../core/runtime/spec.ts";
import type { DaemonConfig } from "../config/config.ts";
import { layoutOf, limitRealtime } from "./runtimes.ts";
import { seccompProfile } from "./seccomp-profile.ts";

/** What this host is to containers. */
export interface HostParts {
  readonly hierarchy: CgroupHierarchy;
  /** Where this daemon's containers lie in the cgroup tree. */
  readonly layout: CgroupLayout;
  readonly facts: HostFacts;
  /** The cgroups that are this daemon's own to remove: none below a parent that somebody else named, or that systemd owns. */
  readonly ownCgroup: CgroupPaths;
}

/** Looks at the host, and prepares what all containers share: the AppArmor profile, the real-time scheduler's share. */
export async function prepareHost(config: DaemonConfig, log: Log): Promise<HostParts> {
  const hierarchy = probeCgroups();
  await loadApparmorProfile(log);
  const facts = probeHost({
    hierarchy,
    ...seccompProfile(config.seccompProfile),
    cdiDirs: config.cdiSpecDirs,
    selinux: config.selinux,
  });
  if (config.selinux && !facts.selinux) log.warn("Docker could not enable SELinux on the host system");
  const layout = layoutOf(config, hierarchy);
  limitRealtime(config, { facts, hierarchy, layout });
  const own = config.cgroupParent === undefined && layout.driver === "cgroupfs";
  return { hierarchy, layout, facts, ownCgroup: own ? cgroupPathsFor(hierarchy, layout.parent) : {} };
}
