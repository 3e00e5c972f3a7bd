import type { HostConfig } from "../../../base/spec/docker/api.gen.ts";
import type { ContainerDefaults } from "../context.ts";

/** The host config as it is kept and shown: every member that `inspect` always has, with the daemon's defaults. Pure. */
export function normalizeHost(asked: HostConfig, defaults: ContainerDefaults): HostConfig {
  const mode = asked.NetworkMode ?? "";
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
    ShmSize: asked.ShmSize || defaults.shmSize,
    Runtime: asked.Runtime || defaults.runtime,
    Ulimits: mergeUlimits(asked, defaults),
    PortBindings: asked.PortBindings ?? {},
    Links: asked.Links ?? [],
  };
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
