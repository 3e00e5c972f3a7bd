import type { Clock } from "../../base/lib/clock.ts";
import { invalid, isCode, notFound } from "../../base/lib/errors.ts";
import type { VolumeListResponse, Volume as WireVolume } from "../../base/spec/docker/api.gen.ts";
import type { Volume, VolumeStore } from "../../core/volume/volume.ts";
import type { EventPublisher } from "../events/event.ts";
import { Filters, type WireFilters } from "../filters/filters.ts";

export interface VolumeServiceDeps {
  /** One that announces what is made and removed. */
  readonly store: VolumeStore;
  readonly events: EventPublisher;
  readonly clock: Clock;
}

export interface VolumeCreate {
  readonly Name?: string;
  readonly Driver?: string;
  readonly DriverOpts?: Readonly<Record<string, string>>;
  readonly Labels?: Readonly<Record<string, string>>;
}

/** Volumes as the API has them. Which containers use a volume is the store's durable knowledge, so none is asked here. */
export class VolumeService {
  readonly #deps: VolumeServiceDeps;

  constructor(deps: VolumeServiceDeps) {
    this.#deps = deps;
  }

  async list(wire: WireFilters): Promise<VolumeListResponse> {
    const filters = Filters.parse(wire, ["dangling", "driver", "label", "label!", "name"]);
    const dangling = filters.has("dangling") ? filters.bool("dangling", false) : undefined;
    const chosen = this.#deps.store
      .list()
      .filter(
        (volume) =>
          filters.match("name", volume.name) &&
          filters.exact("driver", volume.driver) &&
          filters.matchLabels("label", volume.labels) &&
          filters.excludesLabels("label!", volume.labels) &&
          (dangling === undefined || this.#unused(volume) === dangling),
      );
    return { Volumes: chosen.map(wireVolume), Warnings: [] };
  }

  async create(request: VolumeCreate): Promise<WireVolume> {
    for (const [key, value] of Object.entries(request.DriverOpts ?? {})) {
      if (typeof value !== "string") throw invalid(`invalid option: ${JSON.stringify(key)}`);
    }
    const volume = await this.#deps.store.create({
      name: request.Name ?? "",
      ...(request.Driver === undefined ? {} : { driver: request.Driver }),
      labels: request.Labels ?? {},
      options: request.DriverOpts ?? {},
    });
    return wireVolume(volume);
  }

  async inspect(name: string): Promise<WireVolume> {
    const volume = this.#deps.store.get(name);
    if (!volume) throw notFound(`get ${name}: no such volume`);
    return wireVolume(volume);
  }

  async remove(name: string, options: { readonly force: boolean }): Promise<void> {
    await this.#deps.store.remove(name, options);
  }

  /** Unused volumes: those nobody named, or all of them with the filter all=true. */
  async prune(
    wire: WireFilters,
  ): Promise<{ readonly VolumesDeleted: readonly string[]; readonly SpaceReclaimed: number }> {
    const filters = Filters.parse(wire, ["label", "label!", "all"]);
    const all = filters.bool("all", false);
    const deleted: string[] = [];
    let reclaimed = 0;
    for (const volume of this.#deps.store.list()) {
      if (volume.unreadable || !this.#unused(volume) || !(all || volume.anonymous)) continue;
      if (!filters.matchLabels("label", volume.labels) || !filters.excludesLabels("label!", volume.labels))
        continue;
      const size = await this.#deps.store.usage(volume.name);
      try {
        await this.remove(volume.name, { force: false });
      } catch (error) {
        // Taken into use, or removed by somebody else, since it was listed.
        if (isCode(error, "conflict") || isCode(error, "not-found")) continue;
        throw error;
      }
      reclaimed += Math.max(size, 0);
      deleted.push(volume.name);
    }
    this.#deps.events.publish({
      type: "volume",
      action: "prune",
      id: "",
      attributes: { reclaimed: String(reclaimed) },
    });
    return { VolumesDeleted: deleted, SpaceReclaimed: reclaimed };
  }

  #unused(volume: Volume): boolean {
    return this.#deps.store.references(volume.name).length === 0;
  }
}

export function wireVolume(volume: Volume): WireVolume {
  return {
    CreatedAt: volume.createdAt,
    Driver: volume.driver,
    Labels: orNull(volume.labels),
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: orNull(volume.options),
    Scope: volume.scope,
  };
}

/** Docker answers null where nothing was given, although the published type does not say so. */
function orNull(map: Readonly<Record<string, string>>): Record<string, string> {
  return Object.keys(map).length === 0 ? (null as unknown as Record<string, string>) : { ...map };
}
