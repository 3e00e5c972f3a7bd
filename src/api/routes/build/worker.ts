import { type UsageRecord, WorkerRecord } from "../../../base/spec/buildkit/control.gen.ts";
import type { CacheUsage, WorkerInfo } from "./backend.ts";
import { timestampOfMs } from "./progress-log.ts";

export const versionOf = (worker: WorkerInfo) => ({
  package: "tug",
  version: worker.version,
  revision: worker.revision,
  dockerfileVersion: "",
});

export function workerRecord(worker: WorkerInfo): WorkerRecord {
  return WorkerRecord.create({
    id: worker.id,
    labels: { ...worker.labels },
    platforms: worker.platforms.map(({ architecture, os, variant }) => ({
      architecture,
      os,
      variant: variant ?? "",
    })),
    gcPolicy: worker.gc.map((policy) => ({ ...policy, filters: [...policy.filters] })),
    buildkitVersion: versionOf(worker),
  });
}

export function usageRecord(usage: CacheUsage): UsageRecord {
  return {
    id: usage.id,
    mutable: usage.mutable,
    inUse: usage.inUse,
    size: BigInt(Math.trunc(usage.size)),
    parent: usage.parents[0] ?? "",
    createdAt: timestampOfMs(usage.created),
    lastUsedAt: timestampOfMs(usage.used),
    usageCount: BigInt(usage.uses),
    description: usage.description,
    recordType: usage.type,
    shared: usage.shared,
    parents: [...usage.parents],
  };
}
