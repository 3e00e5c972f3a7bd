import { hostname } from "node:os";
import type { Route } from "../../api/route.ts";
import type { BuildCacheBackend, CacheUsage, WorkerInfo } from "../../api/routes/build/backend.ts";
import { builderRoutes } from "../../api/routes/build/builder.ts";
import { systemClock } from "../../base/lib/clock.ts";
import type { Log } from "../../base/lib/log.ts";
import { hostPlatform } from "../../base/spec/oci/platform.ts";
import type { CacheCollector } from "../../build/solve/collector.ts";
import { parseEntryFilters } from "../../build/solve/filter.ts";
import type { CacheEntry } from "../../build/solve/objects.ts";
import { runnablePlatforms } from "../../core/runtime/emulation.ts";
import type { ComposedBuilder } from "./compose.ts";

/** The BuildKit whose features are served: by its version clients decide what to ask for. */
const served = { version: "v0.23.0", revision: "" } as const;

/** The builder behind Docker's API. */
export function buildRoutes(
  { service, classic, collector, pruning, traits }: ComposedBuilder,
  log: Log,
): readonly Route[] {
  return builderRoutes({
    builder: service,
    classic,
    pruning,
    cache: cacheBackend(collector, pruning),
    worker: () => workerInfo(traits),
    log,
    clock: systemClock,
  });
}

function workerInfo({ hostGateway, snapshotter, gc }: ComposedBuilder["traits"]): WorkerInfo {
  const label = (name: string) => `org.mobyproject.buildkit.worker.${name}`;
  return {
    id: "tug",
    platforms: runnablePlatforms(hostPlatform()),
    labels: {
      [label("executor")]: "oci",
      [label("hostname")]: hostname(),
      [label("moby.host-gateway-ip")]: hostGateway() ?? "",
      // By this one buildx knows that the docker driver exports caches, OCI layouts and several platforms (driver/docker).
      [label("snapshotter")]: snapshotter,
    },
    gc: (gc() ?? []).map(({ all, filters, unusedFor, ...bounds }) => ({
      all,
      filters,
      keepDuration: BigInt(unusedFor) * 1_000_000n,
      reservedSpace: BigInt(Math.trunc(bounds.reservedSpace ?? 0)),
      maxUsedSpace: BigInt(Math.trunc(bounds.maxUsedSpace ?? 0)),
      minFreeSpace: BigInt(Math.trunc(bounds.minFreeSpace ?? 0)),
    })),
    ...served,
  };
}

function cacheBackend(collector: CacheCollector, pruning: ComposedBuilder["pruning"]): BuildCacheBackend {
  return {
    usage: async (filters) => {
      const wanted = parseEntryFilters(filters);
      return (await collector.entries()).filter(wanted).map(usageOf);
    },
    async *prune({ all, filters, keepDuration, reservedSpace, maxUsedSpace, minFreeSpace }, signal) {
      const removed: CacheEntry[] = [];
      await pruning.prune(
        {
          all,
          texts: filters,
          unusedFor: Number(keepDuration / 1_000_000n),
          reservedSpace: Number(reservedSpace),
          maxUsedSpace: Number(maxUsedSpace),
          minFreeSpace: Number(minFreeSpace),
        },
        { signal, onRemoved: (entry) => removed.push(entry) },
      );
      yield* removed.map(usageOf);
    },
  };
}

function usageOf(entry: CacheEntry): CacheUsage {
  return { ...entry, mutable: entry.type === "exec.cachemount" || entry.type === "source.local" };
}
