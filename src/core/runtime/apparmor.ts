import { existsSync } from "node:fs";
import type { Log } from "../../base/lib/log.ts";
import { readText } from "../../base/sys/cgroup/cgroup.ts";

/** The profile that containers get on a host with AppArmor unless they name another. */
export const APPARMOR_PROFILE = "tug-default";

const PARSERS: readonly string[] = ["/sbin/apparmor_parser", "/usr/sbin/apparmor_parser"];

/** Whether the kernel has AppArmor switched on. */
export function apparmorEnabled(): boolean {
  return readText("/sys/module/apparmor/parameters/enabled")?.trim() === "Y";
}

/** Whether the kernel knows a profile of that name. */
export function apparmorLoaded(name: string): boolean {
  const profiles = readText("/sys/kernel/security/apparmor/profiles") ?? "";
  return profiles.split("\n").some((line) => line.startsWith(`${name} (`));
}

/** Loads the default profile again if somebody unloaded it since (a restart of the host's AppArmor service). */
export async function keepApparmorProfile(log: Log): Promise<void> {
  if (!apparmorLoaded(APPARMOR_PROFILE)) await loadApparmorProfile(log);
}

/**
 * Loads the default profile on a host with AppArmor, replacing one of an earlier version. A host without the parser runs
 * containers unconfined, which the log says.
 */
export async function loadApparmorProfile(log: Log): Promise<void> {
  if (!apparmorEnabled()) return;
  const parser = PARSERS.find((path) => existsSync(path));
  if (!parser) {
    log.warn("AppArmor is on but apparmor_parser is not installed: containers run without a profile");
    return;
  }
  const child = Bun.spawn([parser, "--replace", "--skip-cache"], {
    stdin: Buffer.from(apparmorProfile(APPARMOR_PROFILE)),
    stdout: "ignore",
    stderr: "pipe",
    timeout: 20_000,
  });
  const complaint = await new Response(child.stderr).text();
  if ((await child.exited) !== 0)
    log.warn("loading the AppArmor profile for containers failed", { reason: complaint.trim() });
}

/**
 * The profile's text: what a container may do at all, less what reaches the kernel's own files. It needs no file of the
 * host's AppArmor package, so that it means the same everywhere.
 */
export function apparmorProfile(name: string): string {
  return `profile ${name} flags=(attach_disconnected,mediate_deleted) {
  network,
  # What seccomp denies in socket(2), for socketcall(2) of 32-bit programs, whose arguments it cannot see (CVE-2026-31431).
  deny network alg,
  deny network vsock,
  capability,
  file,
  umount,
  # The monitor and the daemon end containers by signals; within one, everybody may.
  signal (receive) peer=unconfined,
  signal (receive) peer=crun,
  signal (receive) peer=runc,
  signal (send, receive) peer=${name},
  ptrace (trace, read, tracedby, readby) peer=${name},
  deny mount,

  # Of /proc only the processes' own files and kernel/shm* may be written.
  deny /proc/* w,
  deny /proc/[^1-9s]*/** w,
  deny /proc/{scsi,sysvipc}/** w,
  deny /proc/sys/[^k]** w,
  deny /proc/sys/kernel/[^s]** w,
  deny /proc/sys/kernel/s[^h]** w,
  deny /proc/{sysrq-trigger,kcore} rwklx,

  # Of /sys only the cgroups.
  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/fs/cg[^r]*/** wklx,
  deny /sys/{firmware,devices/virtual/powercap,kernel/security}/** rwklx,
}
`;
}
