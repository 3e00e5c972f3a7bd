import type { ContainerId } from "../../../base/lib/ids.ts";
import type { ContainerInspectResponse, ContainerState } from "../../../base/spec/docker/api.gen.ts";
import { apparmorProfileOf } from "../../../core/runtime/spec/generate.ts";
import type { ContainerContext } from "../context.ts";
import { parseLink } from "../create/links.ts";
import { parseNetworkMode } from "../network-mode.ts";
import { type ContainerRecord, isRunning } from "../record.ts";
import { networkFiles } from "../start/network-files.ts";
import { mountPoints } from "./mount-points.ts";
import { networkSettings } from "./network-settings.ts";
import { showConfig, showHost } from "./show-config.ts";
import { listOrNull, wireNull } from "./wire-null.ts";

export async function inspectContainer(
  context: ContainerContext,
  reference: string,
  options: { readonly size: boolean },
): Promise<ContainerInspectResponse> {
  const record = context.store.resolve(reference);
  const { id, definition } = record;
  const files = networkFiles(context.paths.dir(id));
  const live = context.live.peek(id);
  const merged = context.paths.rootfs(id);
  return {
    Id: id,
    Created: definition.created,
    Path: definition.path,
    Args: [...definition.args],
    State: showState(record),
    Image: definition.imageId,
    ResolvConfPath: record.state.everStarted ? files.resolvConf : "",
    HostnamePath: record.state.everStarted ? files.hostname : "",
    HostsPath: record.state.everStarted ? files.hosts : "",
    LogPath: live?.log?.path ?? definition.logPath,
    Name: `/${record.name}`,
    RestartCount: record.state.restartCount,
    Driver: definition.driver,
    Platform: definition.platform.os,
    ...(definition.imageManifest ? { ImageManifestDescriptor: definition.imageManifest } : {}),
    MountLabel: "",
    ProcessLabel: "",
    // From its first start on, as in Docker.
    AppArmorProfile: record.state.everStarted
      ? (apparmorProfileOf(definition.host, context.facts) ?? "")
      : "",
    ExecIDs: listOrNull([...(live?.execIds ?? [])]) ?? null,
    HostConfig: { ...showHost(definition.host), Links: showLinks(context, record) },
    GraphDriver: {
      Name: definition.driver,
      // One of another storage driver can still be inspected and removed.
      Data: context.snapshots.stat(id) ? { ...context.snapshots.describe(id, merged) } : {},
    },
    ...(options.size ? await sizes(context, record) : {}),
    Mounts: mountPoints(record),
    Config: { ...showConfig(definition.config), ...wantedMac(record) },
    NetworkSettings: networkSettings(context, record),
  };
}

/**
 * Config.MacAddress is the address that was asked for on the main network, for clients before 1.52; never one that the
 * container got, which whoever makes it anew from this would pin.
 */
function wantedMac({ definition }: ContainerRecord): { readonly MacAddress?: string } {
  const mode = parseNetworkMode(definition.host.NetworkMode);
  const mac = mode.kind === "network" ? definition.networks[mode.name]?.MacAddress : undefined;
  return mac ? { MacAddress: mac } : {};
}

/** Docker shows a link as the name it would have as a child of the container. */
function showLinks(context: ContainerContext, record: ContainerRecord): string[] | undefined {
  const { host } = record.definition;
  if (host.NetworkMode !== "bridge") return wireNull;
  return listOrNull(
    (host.Links ?? []).flatMap((link) => {
      const { container, alias } = parseLink(link);
      const target = context.store.get(container as ContainerId);
      return target ? [`/${target.name}:/${record.name}/${alias}`] : [];
    }),
  );
}

export async function sizes(
  context: ContainerContext,
  record: ContainerRecord,
): Promise<{ readonly SizeRw: number; readonly SizeRootFs: number }> {
  const bytes = context.snapshots.stat(record.id) ? (await context.snapshots.usage(record.id)).bytes : 0;
  const image = record.definition.imageId === "" ? undefined : context.images.get(record.definition.imageId);
  return { SizeRw: bytes, SizeRootFs: bytes + (image?.size ?? 0) };
}

function showState(record: ContainerRecord): NonNullable<ContainerState> {
  const { state } = record;
  return {
    Status: state.status,
    Running: isRunning(record),
    Paused: state.status === "paused",
    Restarting: state.status === "restarting",
    OOMKilled: state.oomKilled,
    Dead: state.status === "dead",
    Pid: state.pid,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: state.startedAt,
    FinishedAt: state.finishedAt,
    ...(state.health
      ? {
          Health: {
            Status: state.health.status,
            FailingStreak: state.health.failingStreak,
            Log: [...state.health.log],
          },
        }
      : {}),
  };
}
