import { invalid } from "../../../base/lib/errors.ts";
import type { HostConfig } from "../../../base/spec/docker/api.gen.ts";
import { CAPABILITIES } from "../../../base/sys/process/capabilities.ts";
import type { OciProcess } from "../runtime.ts";
import builtinSeccomp from "../seccomp/default.json" with { type: "json" };
import type {
  CdiEdits,
  GenerateResources,
  GenerateSpec,
  HostFacts,
  SeccompProfile,
  SpecInput,
} from "../spec.ts";
import { capabilitySets, containerCapabilities } from "./capabilities.ts";
import { containerDevices } from "./devices.ts";
import { maskedPaths } from "./masked-paths.ts";
import { containerMounts, type OciMount } from "./mounts.ts";
import { idMappings, ociNamespaces } from "./namespaces.ts";
import { ociResources } from "./resources.ts";
import { processRlimits } from "./rlimits.ts";
import { ociSeccomp, parseSeccompProfile } from "./seccomp.ts";
import { parseSecurityOptions, type SecurityOptions, selinuxLabels } from "./security-options.ts";
import { containerSysctls } from "./sysctls.ts";
import { validateResources } from "./validate-resources.ts";

/** Where the init program is bound in the container; `ps` inside shows it, and people know it by this name. */
const INIT_TARGET = "/sbin/docker-init";
/** Annotations that steer crun itself: letting requests set them would hand out the daemon's rights. */
const RESERVED_ANNOTATION = /^(?:run\.oci\.|io\.podman|org\.systemd)/;

/** The OCI spec of a container: pure but for the device look-ups that the input carries. */
export const generateSpec: GenerateSpec = (input) => {
  const checked = validateResources(input.host, input.kernel, { update: false });
  const { host } = checked;
  const security = parseSecurityOptions(host.SecurityOpt ?? []);
  const privileged = host.Privileged === true;
  const granted = containerCapabilities({
    add: host.CapAdd ?? [],
    drop: host.CapDrop ?? [],
    privileged,
    known: CAPABILITIES,
    held: input.kernel.capabilities,
  });
  const limits = processRlimits(input.defaultUlimits ?? [], host.Ulimits ?? [], input.kernel.hardLimits);
  const devices = containerDevices(host, input.kernel);
  const labels = input.kernel.selinux && !privileged ? selinuxLabels(security.label) : undefined;
  const seccomp = chosenProfile(security, privileged, input.kernel);
  const sysctl = containerSysctls(host.Sysctls ?? {}, input.namespaces, input.kernel.defaultSysctls);
  const init = input.init && input.namespaces.pid === "private" ? input.init : undefined;
  const annotations = withoutReserved(input.annotations);
  const spec = {
    ociVersion: "1.0.2",
    process: {
      ...(input.tty ? { terminal: true, ...consoleSize(host) } : {}),
      user: input.user,
      args: init ? [INIT_TARGET, "--", ...input.args] : input.args,
      env: [...input.env, ...devices.edits.flatMap((edit) => edit.env ?? [])],
      cwd: checkedCwd(input.cwd),
      capabilities: capabilitySets(granted.capabilities),
      ...(limits.rlimits.length > 0 ? { rlimits: limits.rlimits } : {}),
      ...(security.noNewPrivileges ? { noNewPrivileges: true } : {}),
      ...oomScore(host, input.kernel),
      ...apparmor(host, input.kernel),
      ...(labels ? { selinuxLabel: labels.process } : {}),
    },
    root: { path: input.rootfs, ...(host.ReadonlyRootfs ? { readonly: true } : {}) },
    ...(input.namespaces.uts === "host" ? {} : { hostname: input.hostname }),
    mounts: [...containerMounts(input), ...initMount(init), ...devices.edits.flatMap(cdiMounts)],
    ...hooks(devices.edits),
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    linux: {
      namespaces: ociNamespaces(input.namespaces),
      ...idMappings(input.namespaces, input.idMappings),
      cgroupsPath: input.cgroupsPath,
      resources: ociResources(host, input.kernel, devices.rules),
      ...(devices.devices.length > 0 ? { devices: devices.devices } : {}),
      ...withDomainname(sysctl, input),
      ...maskedPaths({
        privileged,
        masked: host.MaskedPaths,
        readonly: host.ReadonlyPaths,
        extra: input.kernel.extraMaskedPaths,
      }),
      ...(seccomp === "unconfined"
        ? {}
        : { seccomp: ociSeccomp(seccomp, granted.capabilities, input.kernel) }),
      ...(labels ? { mountLabel: labels.mount } : {}),
      ...rootfsPropagation(input),
    },
  };
  return {
    spec,
    warnings: [...checked.warnings, ...granted.warnings, ...limits.warnings, ...devices.warnings],
  };
};

/** `linux.resources` for an update of a live container; validate with `validateResources` first. */
export const generateResources: GenerateResources = (host, kernel) => ociResources(host, kernel);

function chosenProfile(
  security: SecurityOptions,
  privileged: boolean,
  facts: HostFacts,
): SeccompProfile | "unconfined" {
  const asked = security.seccomp;
  if (asked === "unconfined" || (asked === undefined && privileged)) return "unconfined";
  if (asked === undefined) return facts.seccompProfile;
  return asked === "builtin" ? BUILTIN_SECCOMP : parseSeccompProfile(asked);
}

/** Docker's default profile, as data. */
export const BUILTIN_SECCOMP: SeccompProfile = builtinSeccomp as SeccompProfile;

/**
 * /proc/self/fd in a working directory would lead out through a descriptor of the runtime (CVE-2024-21626); no container
 * has a use for it.
 */
export function checkedCwd(cwd: string): string {
  const path = cwd || "/";
  if (!path.startsWith("/"))
    throw invalid(`the working directory '${path}' is invalid, it needs to be an absolute path`);
  if (/^\/+proc\/+(?:self|thread-self|[0-9]+)\/+(?:fd|cwd|root|task)(?:\/|$)/.test(path))
    throw invalid(`the working directory '${path}' is invalid: it lies in a process's descriptors`);
  return path;
}

function consoleSize(host: HostConfig): Pick<OciProcess, "consoleSize"> {
  const [height, width] = host.ConsoleSize ?? [];
  return height && width ? { consoleSize: { height, width } } : {};
}

function oomScore(host: HostConfig, facts: HostFacts): Pick<OciProcess, "oomScoreAdj"> {
  const score = host.OomScoreAdj ?? 0;
  if (score < -1000 || score > 1000)
    throw invalid(`Invalid value ${score}, range for oom score adj is [-1000, 1000]`);
  // Lowering it takes CAP_SYS_RESOURCE; a container must not fail for the lack of that.
  if (score < 0 && !facts.canLowerOomScore) return {};
  // A daemon that is protected from the OOM killer does not protect its containers.
  if (score === 0 && facts.ownOomScore >= 0) return {};
  return { oomScoreAdj: score };
}

function apparmor(host: HostConfig, facts: HostFacts): Pick<OciProcess, "apparmorProfile"> {
  const profile = apparmorProfileOf(host, facts);
  return profile === undefined ? {} : { apparmorProfile: profile };
}

/** The AppArmor profile a container runs under; undefined on a host without AppArmor, or without the means to load one. */
export function apparmorProfileOf(host: HostConfig, facts: HostFacts): string | undefined {
  if (!facts.apparmor) return undefined;
  const { apparmor: asked } = parseSecurityOptions(host.SecurityOpt ?? []);
  // The default, by the name that people know from Docker.
  if (asked === "docker-default") return facts.apparmorProfile ?? asked;
  return asked ?? (host.Privileged ? "unconfined" : facts.apparmorProfile);
}

function withDomainname(
  sysctl: Readonly<Record<string, string>>,
  input: SpecInput,
): { readonly sysctl?: Readonly<Record<string, string>> } {
  // runc 1.1 does not know the spec's `domainname`; the sysctl of the UTS namespace serves every runtime.
  const all =
    input.domainname && input.namespaces.uts === "private"
      ? { "kernel.domainname": input.domainname, ...sysctl }
      : sysctl;
  return Object.keys(all).length > 0 ? { sysctl: all } : {};
}

/** Mounts that a bind shares with the host need a root that passes them on. */
function rootfsPropagation(input: SpecInput): { readonly rootfsPropagation?: string } {
  const options = new Set(input.mounts.flatMap((mount) => mount.options));
  if (options.has("shared") || options.has("rshared")) return { rootfsPropagation: "shared" };
  if (options.has("slave") || options.has("rslave")) return { rootfsPropagation: "rslave" };
  return {};
}

function initMount(init: SpecInput["init"]): readonly OciMount[] {
  if (!init) return [];
  return [{ destination: INIT_TARGET, type: "bind", source: init.path, options: ["bind", "ro", "rprivate"] }];
}

function cdiMounts(edit: CdiEdits): readonly OciMount[] {
  return (edit.mounts ?? []).map((mount) => ({
    destination: mount.containerPath,
    type: mount.type || "bind",
    source: mount.hostPath,
    options: mount.options ?? ["ro", "nosuid", "nodev", "bind"],
  }));
}

function hooks(edits: readonly CdiEdits[]): { readonly hooks?: Readonly<Record<string, unknown>> } {
  const byName: Record<string, unknown[]> = {};
  for (const { hookName, ...hook } of edits.flatMap((edit) => edit.hooks ?? [])) {
    const list = byName[hookName] ?? [];
    list.push(hook);
    byName[hookName] = list;
  }
  return Object.keys(byName).length > 0 ? { hooks: byName } : {};
}

function withoutReserved(annotations: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(annotations).filter(([name]) => !RESERVED_ANNOTATION.test(name)));
}
