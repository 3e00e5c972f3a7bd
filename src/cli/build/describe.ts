import { notFound } from "../../base/lib/errors.ts";
import type { WorkerRecord } from "../../base/spec/buildkit/control.gen.ts";
import { BuilderClient } from "../../client/build/builder.ts";
import type { Context } from "../context.ts";
import { alignColumns } from "../format/tabwriter.ts";
import { binarySize } from "../format/units.ts";

/** The one builder there is: the daemon's own. */
export interface BuilderFacts {
  readonly endpoint: string;
  readonly version: string;
  readonly platforms: readonly string[];
  readonly worker: WorkerRecord | undefined;
}

export async function builderFacts(context: Context): Promise<BuilderFacts> {
  const client = await context.client();
  await using builder = await BuilderClient.open(client);
  const [worker] = await builder.workers();
  const version = worker?.buildkitVersion ?? (await builder.version().catch(() => undefined)); // old builders do not tell
  const platforms = (worker?.platforms ?? []).map(({ os, architecture, variant }) =>
    [os, architecture, variant].filter(Boolean).join("/"),
  );
  return { endpoint: client.address.text, version: version?.version ?? "", platforms, worker };
}

/** "default" is what Docker's tools call the daemon's builder. */
export function checkName(name: string): void {
  if (name !== "" && name !== "default") throw notFound(`no builder ${JSON.stringify(name)} found`);
}

export function describeBuilder({ endpoint, version, platforms, worker }: BuilderFacts): string {
  const rows = [
    "Name:\tdefault",
    "Driver:\tdocker",
    "",
    "Nodes:",
    "Name:\tdefault",
    `Endpoint:\t${endpoint}`,
    "Status:\trunning",
    ...(version === "" ? [] : [`BuildKit version:\t${version}`]),
    ...(platforms.length === 0 ? [] : [`Platforms:\t${platforms.join(", ")}`]),
    ...labels(worker),
    ...policies(worker),
  ];
  return `${alignColumns(rows.join("\n"), 0, 1)}\n`;
}

function labels(worker: WorkerRecord | undefined): readonly string[] {
  const all = Object.entries(worker?.labels ?? {})
    .filter(([, value]) => value !== "")
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return all.length === 0 ? [] : ["Labels:", ...all.map(([name, value]) => ` ${name}:\t${value}`)];
}

function policies(worker: WorkerRecord | undefined): readonly string[] {
  const bytes = (name: string, size: bigint) => (size > 0n ? [` ${name}:\t${binarySize(Number(size))}`] : []);
  return (worker?.gcPolicy ?? []).flatMap((rule, index) => [
    `GC Policy rule#${index}:`,
    ` All:\t${rule.all}`,
    ...(rule.filters.length === 0 ? [] : [` Filters:\t${rule.filters.join(" ")}`]),
    ...(rule.keepDuration > 0n ? [` Keep Duration:\t${Number(rule.keepDuration) / 3.6e12}h`] : []),
    ...bytes("Reserved Space", rule.reservedSpace),
    ...bytes("Max Used Space", rule.maxUsedSpace),
    ...bytes("Min Free Space", rule.minFreeSpace),
  ]);
}
