import { invalid } from "../../../base/lib/errors.ts";
import type { ClusterVolumeSpec } from "../../../base/spec/docker/api.gen.ts";
import { parseCsv, splitPair } from "../../flags/flag.ts";

interface ClusterFlags {
  readonly availability: string;
  readonly group: string;
  readonly "limit-bytes": number;
  readonly "required-bytes": number;
  readonly scope: string;
  readonly secret: Readonly<Record<string, string>>;
  readonly sharing: string;
  readonly "topology-preferred": readonly string[];
  readonly "topology-required": readonly string[];
  readonly type: string;
}

const names = [
  "availability",
  "group",
  "limit-bytes",
  "required-bytes",
  "scope",
  "secret",
  "sharing",
  "topology-preferred",
  "topology-required",
  "type",
];

/** The cluster part of a volume's spec, when one of its flags was given; the daemon decides whether it can have it. */
export function clusterVolume(
  values: ClusterFlags,
  changed: ReadonlySet<string>,
): { ClusterVolumeSpec?: ClusterVolumeSpec } {
  if (!names.some((name) => changed.has(name))) return {};
  const mode = values.type;
  if (mode !== "block" && mode !== "mount") throw invalid(`invalid volume type ${JSON.stringify(mode)}`);
  const topologies = (items: readonly string[]) =>
    items.map((item) => ({
      Segments: Object.fromEntries(
        parseCsv(item).map((pair) => [splitPair(pair)[0], splitPair(pair)[1] ?? ""]),
      ),
    }));
  const spec: ClusterVolumeSpec = {
    Group: values.group,
    AccessMode: {
      Scope: values.scope,
      Sharing: values.sharing,
      ...(mode === "mount" ? { MountVolume: {} } : {}),
      Secrets: Object.entries(values.secret).map(([Key, Secret]) => ({ Key, Secret })),
      AccessibilityRequirements: {
        Requisite: topologies(values["topology-required"]),
        Preferred: topologies(values["topology-preferred"]),
      },
      CapacityRange: { RequiredBytes: values["required-bytes"], LimitBytes: values["limit-bytes"] },
      Availability: values.availability,
    },
  } as ClusterVolumeSpec;
  return { ClusterVolumeSpec: spec };
}
