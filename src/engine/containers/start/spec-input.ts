import { conflict, invalid } from "../../../base/lib/errors.ts";
import { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { cgroupsPathOf } from "../../../core/runtime/cgroup-driver.ts";
import type { SpecInput, SpecMount } from "../../../core/runtime/spec.ts";
import { lookupUser, type ProcessUser } from "../../../core/runtime/user.ts";
import type { ContainerContext } from "../context.ts";
import { makeWorkingDirectory, workingDirectory } from "../create/prepare-root.ts";
import { containerOfMode } from "../network-mode.ts";
import { type ContainerRecord, isAlive } from "../record.ts";
import { networkFiles } from "./network-files.ts";
import { remapOf, userNamespace } from "./remap.ts";

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Gathers what the OCI spec is generated from, looking into the mounted root for user and working directory. */
export function specInput(
  context: ContainerContext,
  record: ContainerRecord,
  rootfs: string,
  mounts: readonly SpecMount[],
): SpecInput {
  const { config, host, path, args } = record.definition;
  using root = RootedDir.open(rootfs);
  const user = lookupUser(root, config.User ?? "", host.GroupAdd ?? []);
  const cwd = workingDirectory(config.WorkingDir ?? "");
  makeWorkingDirectory(root, cwd);
  const remap = remapOf(context, host);
  const useInit = host.Init ?? context.defaults.init;
  if (useInit && context.defaults.initPath === undefined) {
    throw invalid("no init program (docker-init, tini or catatonit) was found on this host");
  }
  const hostname = config.Hostname ?? "";
  return {
    id: record.id,
    hostname,
    domainname: config.Domainname ?? "",
    args: [path, ...args],
    env: processEnv(config.Env ?? [], { hostname, tty: config.Tty ?? false, home: user.home }),
    cwd,
    tty: config.Tty ?? false,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
    rootfs,
    mounts,
    host,
    namespaces: namespaces(context, record),
    cgroupsPath: cgroupsPathOf(context.defaults.cgroups, host.CgroupParent, record.id),
    init: useInit && context.defaults.initPath ? { path: context.defaults.initPath } : undefined,
    ...(remap ? { idMappings: remap.maps } : {}),
    annotations: host.Annotations ?? {},
    kernel: context.facts,
  };
}

/** PATH, HOSTNAME and TERM first, then the container's own, which win; HOME when nobody set it. */
function processEnv(
  env: readonly string[],
  options: { readonly hostname: string; readonly tty: boolean; readonly home: ProcessUser["home"] },
): readonly string[] {
  const all = new Map<string, string>([["PATH", `PATH=${defaultPath}`]]);
  if (options.hostname) all.set("HOSTNAME", `HOSTNAME=${options.hostname}`);
  if (options.tty) all.set("TERM", "TERM=xterm");
  for (const entry of env) {
    const at = entry.indexOf("=");
    // "NAME" alone takes NAME away, as Docker's ReplaceOrAppendEnvVars does.
    if (at < 0) all.delete(entry);
    else all.set(entry.slice(0, at), entry);
  }
  if (!all.has("HOME")) all.set("HOME", `HOME=${options.home}`);
  return [...all.values()];
}

function namespaces(context: ContainerContext, record: ContainerRecord): SpecInput["namespaces"] {
  const { host, config } = record.definition;
  const join = (mode: string | undefined, kind: "net" | "ipc" | "pid") => {
    if (mode === "host") return "host";
    const other = containerOfMode(mode);
    if (other === undefined) return "private";
    return `/proc/${pidToJoin(context, other, kind)}/ns/${kind}`;
  };
  return {
    mount: "private",
    network: config.NetworkDisabled ? "private" : join(host.NetworkMode, "net"),
    ipc: join(host.IpcMode, "ipc"),
    pid: join(host.PidMode, "pid"),
    uts: host.UTSMode === "host" ? "host" : "private",
    cgroup: host.CgroupnsMode === "host" ? "host" : "private",
    user: userNamespace(context, host, (other) => context.store.resolve(other).state.pid),
  };
}

/** A running container's network as others join it. Throws not-found; conflict for one that does not run. */
export function networkToJoin(
  context: ContainerContext,
  reference: string,
): { readonly pid: number; readonly hosts: string; readonly resolvConf: string } {
  const pid = pidToJoin(context, reference, "net");
  return { pid, ...networkFiles(context.paths.dir(context.store.resolve(reference).id)) };
}

function pidToJoin(context: ContainerContext, reference: string, kind: "net" | "ipc" | "pid"): number {
  const other = context.store.resolve(reference);
  if (!isAlive(other)) {
    throw conflict(
      kind === "net"
        ? `cannot join network namespace of a non running container: ${other.id}`
        : `cannot join ${kind.toUpperCase()} namespace of a non running container: ${other.id}`,
    );
  }
  if (kind === "ipc" && !["shareable", "host"].includes(other.definition.host.IpcMode ?? "")) {
    throw invalid(
      `can't join IPC of container ${other.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
    );
  }
  return other.state.pid;
}
