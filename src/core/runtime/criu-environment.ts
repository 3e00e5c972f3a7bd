import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Made in a task's directory by `criuEnvironment`, and removed with the task's files. */
export const CRIU_DIRECTORY = ".criu";

/**
 * The environment of a runtime that is to call CRIU. CRIU holds a container's connections up while it dumps and restores, with
 * iptables unless told otherwise, which a host whose firewall is nftables need not have. It reads its options from HOME (criu(8),
 * "CONFIGURATION FILES"): one is made in the task's own directory, and goes with it. What the administrator has in
 * /etc/criu/runc.conf comes later and wins. (The file that runc's annotation org.criu.config names would do, but makes CRIU 3.17 crash.)
 */
export function criuEnvironment(directory: string): { readonly HOME: string } {
  mkdirSync(join(directory, CRIU_DIRECTORY), { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, CRIU_DIRECTORY, "default.conf"), "network-lock nftables\n", { mode: 0o600 });
  return { HOME: directory };
}
