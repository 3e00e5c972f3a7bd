import { invalid, messageOf } from "../../base/lib/errors.ts";
import { humanDuration } from "../../base/lib/human-duration.ts";
import type { UsageRecord } from "../../base/spec/buildkit/control.gen.ts";
import type { Timestamp } from "../../base/spec/buildkit/pb.gen.ts";
import type { Filters } from "../../client/query.ts";
import type { ListSpec } from "../format/list.ts";
import { alignColumns } from "../format/tabwriter.ts";
import { goTime } from "../format/text.ts";
import { humanSize, parseDuration } from "../format/units.ts";

const milliseconds = ({ seconds, nanos }: Timestamp) => Number(seconds) * 1000 + nanos / 1e6;
const ago = (time: Timestamp | undefined, now: number) =>
  time === undefined ? "" : `${humanDuration(now - milliseconds(time))} ago`;

/** A row of `builder du` for each thing that the cache keeps. Marked with "*": ids that change, sizes that images share. */
export function usageSpec(now: number, table: boolean): ListSpec<UsageRecord> {
  const mark = (yes: boolean) => (table && yes ? "*" : "");
  return {
    typeName: "*commands.diskusageContext",
    quiet: "ID",
    columns: ["ID", "Reclaimable", "Size", "LastUsedAt"],
    fields: {
      ID: { header: "ID", value: ({ id, mutable }) => id + mark(mutable) },
      Parents: { header: "PARENTS", value: ({ parents }) => parents },
      CreatedAt: {
        header: "CREATED AT",
        value: ({ createdAt }) => (createdAt ? goTime(milliseconds(createdAt)) : ""),
      },
      Mutable: { header: "MUTABLE", value: ({ mutable }) => mutable },
      Reclaimable: { header: "RECLAIMABLE", value: ({ inUse }) => !inUse },
      Shared: { header: "SHARED", value: ({ shared }) => shared },
      Size: { header: "SIZE", value: ({ size, shared }) => humanSize(Number(size)) + mark(shared) },
      Description: { header: "DESCRIPTION", value: ({ description }) => description },
      UsageCount: { header: "USAGE COUNT", value: ({ usageCount }) => Number(usageCount) },
      LastUsedAt: { header: "LAST ACCESSED", value: ({ lastUsedAt }) => ago(lastUsedAt, now) },
      Type: { header: "TYPE", value: ({ recordType }) => recordType },
    },
  };
}

/** --verbose: every member, a line each, a blank line behind each record. */
export function verboseRecord(record: UsageRecord, now: number): string {
  const created = record.createdAt ? goTime(milliseconds(record.createdAt)) : "";
  const lines: readonly (readonly [string, string])[] = [
    ["ID", record.id],
    ["Parent", record.parents.join(",")],
    ["Created at", created],
    ["Mutable", String(record.mutable)],
    ["Reclaimable", String(!record.inUse)],
    ["Shared", String(record.shared)],
    ["Size", humanSize(Number(record.size))],
    ["Description", record.description],
    ["Usage count", String(record.usageCount)],
    ["Last used", ago(record.lastUsedAt, now)],
    ["Type", record.recordType],
  ];
  const shown = lines.filter(([, value]) => value !== "").map(([name, value]) => `${name}:\t${value}`);
  return `${alignColumns(shown.join("\n"), 8, 1)}\n\n`;
}

/** The sums below the list. */
export function usageSummary(records: readonly UsageRecord[]): string {
  const sum = (of: readonly UsageRecord[]) => of.reduce((total, { size }) => total + Number(size), 0);
  const total = sum(records);
  const shared = sum(records.filter((record) => record.shared));
  const rows = [
    ...(shared > 0 ? [`Shared:\t${humanSize(shared)}`, `Private:\t${humanSize(total - shared)}`] : []),
    `Reclaimable:\t${humanSize(sum(records.filter(({ inUse }) => !inUse)))}`,
    `Total:\t${humanSize(total)}`,
  ];
  return `${alignColumns(rows.join("\n"), 8, 1)}\n`;
}

/** --filter as the builder's API takes it; `keepDuration` nanoseconds ("until", or "unused-for" as it was called). */
export function usageFilter(filters: Filters): { readonly filter: string[]; readonly keepDuration: bigint } {
  const until = filters["until"] ?? [];
  const unused = filters["unused-for"] ?? [];
  if (until.length > 0 && unused.length > 0) throw invalid('conflicting filters "until" and "unused-for"');
  const age = unused.length > 0 ? "unused-for" : "until";
  const parts: string[] = [];
  for (const [key, values] of Object.entries(filters)) {
    const [value = "", ...more] = values;
    if (more.length > 0) throw invalid(`${JSON.stringify(key)} filter expects only one value`);
    if (key === age) continue;
    const [operator, name] = key === "id" ? ["~=", key] : /[!~]$/.test(key) ? ["=", key] : ["==", key];
    parts.push(values.length === 0 ? name : `${name}${operator}${value}`);
  }
  return {
    filter: parts.length > 0 ? [parts.join(",")] : [],
    keepDuration: duration(age, filters[age]?.[0]),
  };
}

function duration(name: string, text: string | undefined): bigint {
  if (text === undefined) return 0n;
  try {
    return BigInt(parseDuration(text));
  } catch (cause) {
    throw invalid(
      `${JSON.stringify(name)} filter expects a duration (e.g., '24h'): ${messageOf(cause)}`,
      cause,
    );
  }
}
