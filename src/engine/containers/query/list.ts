import { parseRfc3339 } from "../../../base/lib/timestamp.ts";
import type { ContainerSummary, PortSummary } from "../../../base/spec/docker/api.gen.ts";
import type { WireFilters } from "../../filters/filters.ts";
import type { ContainerContext } from "../context.ts";
import { portMap } from "../ports.ts";
import { type ContainerRecord, isAlive, isRunning } from "../record.ts";
import { newestFirst } from "./age.ts";
import { sizes } from "./inspect.ts";
import { compileListFilter } from "./list-filter.ts";
import { mountPoints } from "./mount-points.ts";
import { networksOf } from "./network-settings.ts";
import { healthStatus, statusText } from "./status-text.ts";

export interface ListOptions {
  readonly all: boolean;
  readonly limit: number;
  readonly size: boolean;
  readonly filters: WireFilters;
}

/** `docker ps`: newest first. */
export async function listContainers(
  context: ContainerContext,
  options: ListOptions,
): Promise<readonly ContainerSummary[]> {
  const filter = compileListFilter(context, options.filters);
  const all = options.all || options.limit > 0 || filter.impliesAll;
  const shown = [...context.store.list()]
    .filter((record) => (all || isRunning(record)) && filter.matches(record))
    .sort(newestFirst);
  const limited = options.limit > 0 ? shown.slice(0, options.limit) : shown;
  const images = new Map<string, ReadonlySet<string>>();
  return await Promise.all(
    limited.map(async (record) => ({
      ...summarize(context, record, images),
      ...(options.size ? await sizes(context, record) : {}),
    })),
  );
}

function summarize(
  context: ContainerContext,
  record: ContainerRecord,
  images: Map<string, ReadonlySet<string>>,
): ContainerSummary {
  const { definition, state } = record;
  return {
    Id: record.id,
    Names: [`/${record.name}`],
    Image: imageName(context, record, images),
    ImageID: definition.imageId,
    ...(definition.imageManifest ? { ImageManifestDescriptor: definition.imageManifest } : {}),
    Command: [definition.path, ...definition.args]
      .map((word, index) => (index > 0 && word.includes(" ") ? `'${word}'` : word))
      .join(" "),
    Created: Number((parseRfc3339(definition.created) ?? 0n) / 1_000_000_000n),
    Ports: portSummaries(record),
    Labels: definition.config.Labels ?? {},
    State: state.status,
    Status: statusText(state, context.clock.now()),
    HostConfig: {
      NetworkMode: definition.host.NetworkMode,
      ...(definition.host.Annotations ? { Annotations: definition.host.Annotations } : {}),
    },
    Health: { Status: healthStatus(record), FailingStreak: state.health?.failingStreak ?? 0 },
    NetworkSettings: { Networks: networksOf(context, record) },
    Mounts: mountPoints(record),
  };
}

/** The name the container was made from, or the image's id once that name means another image. */
function imageName(
  context: ContainerContext,
  record: ContainerRecord,
  images: Map<string, ReadonlySet<string>>,
): string {
  const { imageReference, imageId } = record.definition;
  if (imageId === "" || imageId.slice(7).startsWith(imageReference) || imageId === imageReference) {
    return imageReference;
  }
  let current = images.get(imageReference);
  if (current === undefined) {
    try {
      // Any platform of the image that the name means.
      const { id, siblings } = context.images.resolve(imageReference);
      current = new Set([id, ...siblings]);
    } catch {
      // Untagged or removed: no longer the image of this container.
      current = new Set();
    }
    images.set(imageReference, current);
  }
  return current.has(imageId) ? imageReference : imageId;
}

function portSummaries(record: ContainerRecord): PortSummary[] {
  if (!isAlive(record)) return [];
  const { config, host } = record.definition;
  const ports: PortSummary[] = [];
  for (const [key, bindings] of Object.entries(
    portMap(config, host, Object.values(record.state.endpoints)),
  )) {
    const [port = "0", Type = "tcp"] = key.split("/");
    const PrivatePort = Number(port);
    if (!bindings || bindings.length === 0) ports.push({ PrivatePort, Type });
    for (const binding of bindings ?? []) {
      ports.push({ IP: binding.HostIp, PrivatePort, PublicPort: Number(binding.HostPort), Type });
    }
  }
  return ports;
}
