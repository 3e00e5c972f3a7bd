import { invalid } from "../../../base/lib/errors.ts";
import type { SpecInput } from "../spec.ts";

/** Sysctls of the IPC namespace besides fs.mqueue.* (ipc_namespaces(7)). */
const IPC_SYSCTLS: ReadonlySet<string> = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

/** A sysctl is a path below /proc/sys: names are checked so that neither name nor value can reach another file or line. */
const NAME = /^[a-z0-9_-]+(?:[./][A-Za-z0-9_:@-]+)+$/;
const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/;

/**
 * The container's sysctls: the defaults of a private network, then those asked for. Only what belongs to a namespace that is
 * the container's own may be set.
 */
export function containerSysctls(
  asked: Readonly<Record<string, string>>,
  namespaces: SpecInput["namespaces"],
  defaults: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const sysctls: Record<string, string> = namespaces.network === "private" ? { ...defaults } : {};
  // A range of groups that the user namespace does not map is refused by the kernel.
  if (namespaces.user !== "host") delete sysctls["net.ipv4.ping_group_range"];
  for (const [name, value] of Object.entries(asked)) {
    checkSysctl(name, value, namespaces);
    sysctls[name.replaceAll("/", ".")] = value;
  }
  return sysctls;
}

/** Throws what is wrong with one sysctl in a container with these namespaces. */
function checkSysctl(name: string, value: string, namespaces: SpecInput["namespaces"]): void {
  if (!NAME.test(name)) throw invalid(`invalid sysctl name: ${JSON.stringify(name)}`);
  if (CONTROL.test(value) || value.includes("+") || value.includes("="))
    throw invalid(`invalid value for sysctl ${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  const dotted = name.replaceAll("/", ".");
  const own = (mode: string) => mode !== "host";
  if (IPC_SYSCTLS.has(dotted) || dotted.startsWith("fs.mqueue.")) {
    if (own(namespaces.ipc)) return;
    throw invalid(`sysctl "${name}" is not allowed in the hosts ipc namespace`);
  }
  if (dotted.startsWith("net.")) {
    if (own(namespaces.network)) return;
    throw invalid(`sysctl "${name}" not allowed in host network namespace`);
  }
  if (dotted === "kernel.domainname") {
    if (own(namespaces.uts)) return;
    throw invalid(`sysctl "${name}" is not allowed in the hosts uts namespace`);
  }
  if (dotted === "kernel.hostname")
    throw invalid(`sysctl "${name}" is not allowed as it conflicts with the OCI field "hostname"`);
  throw invalid(`sysctl "${name}" is not in a separate kernel namespace`);
}
