import type { HostConfig } from "../../../base/spec/docker/api.gen.ts";
import { maskedPaths } from "../../../core/runtime/spec/masked-paths.ts";
import type { HostFacts } from "../../../core/runtime/spec.ts";
import type { ContainerDefaults } from "../context.ts";
import { wireNull } from "../query/wire-null.ts";

/** The host config as it is kept and shown: every member that `inspect` always has, with the daemon's defaults. Pure. */
export function normalizeHost(asked: HostConfig, defaults: ContainerDefaults, facts: HostFacts): HostConfig {
  const mode = asked.NetworkMode ?? "";
  const paths = maskedPaths({
    privileged: asked.Privileged ?? false,
    masked: asked.MaskedPaths,
    readonly: asked.ReadonlyPaths,
    extra: facts.extraMaskedPaths,
  });
  const policy = asked.RestartPolicy;
  return {
    ...asked,
    NetworkMode: mode === "" || mode === "default" ? "bridge" : mode,
    RestartPolicy: { Name: policy?.Name || "no", MaximumRetryCount: policy?.MaximumRetryCount ?? 0 },
    LogConfig: logConfig(asked, defaults),
    AutoRemove: asked.AutoRemove ?? false,
    IpcMode: asked.IpcMode || defaults.ipcMode,
    CgroupnsMode: asked.CgroupnsMode || (asked.Privileged ? "host" : defaults.cgroupnsMode),
    PidMode: asked.PidMode ?? "",
    OomKillDisable: asked.OomKillDisable ?? false,
    // No limit, however it is said.
    ...((asked.PidsLimit ?? 0) > 0 ? {} : { PidsLimit: wireNull }),
    // As much swap again as memory, unless said otherwise.
    ...(asked.Memory && !asked.MemorySwap ? { MemorySwap: asked.Memory * 2 } : {}),
    ShmSize: asked.ShmSize || defaults.shmSize,
    Runtime: asked.Runtime || defaults.runtime,
    Ulimits: mergeUlimits(asked, defaults),
    PortBindings: asked.PortBindings ?? {},
    Links: asked.Links ?? [],
    MaskedPaths: paths.maskedPaths ? [...paths.maskedPaths] : wireNull,
    ReadonlyPaths: paths.readonlyPaths ? [...paths.readonlyPaths] : wireNull,
    SecurityOpt: securityOptions(asked, defaults),
  };
}

/**
 * What sees the host's processes or memory goes without SELinux's confinement, which could not hold there; the daemon's
 * --no-new-privileges holds unless the request says otherwise.
 */
function securityOptions(asked: HostConfig, defaults: ContainerDefaults): string[] {
  const options = [...(asked.SecurityOpt ?? [])];
  const shares = asked.IpcMode === "host" || asked.PidMode === "host" || asked.Privileged;
  if (shares && !options.some((option) => /^label(?:=|$)/.test(option))) options.push("label=disable");
  const said = options.some((option) => option.startsWith("no-new-privileges"));
  return defaults.noNewPrivileges && !said ? [...options, "no-new-privileges"] : options;
}

function logConfig(asked: HostConfig, defaults: ContainerDefaults): NonNullable<HostConfig["LogConfig"]> {
  const type = asked.LogConfig?.Type || defaults.logDriver;
  const base = type === defaults.logDriver ? defaults.logOptions : {};
  return { Type: type, Config: { ...base, ...asked.LogConfig?.Config } };
}

function mergeUlimits(asked: HostConfig, defaults: ContainerDefaults): NonNullable<HostConfig["Ulimits"]> {
  const own = asked.Ulimits ?? [];
  const named = new Set(own.map((limit) => limit.Name));
  return [
    ...own,
    ...defaults.ulimits.filter((limit) => !named.has(limit.Name)).map((limit) => ({ ...limit })),
  ];
}
