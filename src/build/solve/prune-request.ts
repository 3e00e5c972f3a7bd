import { invalid } from "../../base/lib/errors.ts";
import { parseTimestamp } from "../../base/lib/timestamp.ts";
import { parseEntryFilters } from "./filter.ts";
import type { PruneRule } from "./prune-plan.ts";

/** What a client wants removed. Sizes are bytes, 0 or absent: no bound. */
export interface PruneRequest {
  readonly all: boolean;
  /** POST /build/prune: {"until": ["24h"], "type": ["regular"], "inuse": []}. All must hold. */
  readonly filters?: Readonly<Record<string, readonly string[]>>;
  /** The same in BuildKit's own syntax (see `parseEntryFilters`). */
  readonly texts?: readonly string[];
  /** Milliseconds without use. */
  readonly unusedFor?: number;
  readonly reservedSpace?: number;
  readonly maxUsedSpace?: number;
  readonly minFreeSpace?: number;
}

const flags: readonly string[] = ["inuse", "shared", "private"];
const fields: readonly string[] = ["id", "parent", "type", "description", ...flags];

/** Reads a request. Throws invalid for filters that are none. */
export function pruneRule(request: PruneRequest, nowMs: number): PruneRule {
  const { all, unusedFor, reservedSpace, maxUsedSpace, minFreeSpace, filters = {} } = request;
  const parts: string[] = [];
  // `system prune` hands its filters on: nothing here has labels, so one that asks for a label spares all of it.
  let unlabelled = false;
  let usedBefore = unusedFor ? nowMs - unusedFor : undefined;
  for (const [name, values] of Object.entries(filters)) {
    const [value] = values;
    if (name === "label!") continue;
    if (name === "label") {
      unlabelled = true;
      continue;
    }
    if (values.length > 1) throw invalid(`filters expect only one value: ${name}`);
    if (name === "until" || name === "unused-for") {
      const at = parseTimestamp(value ?? "", nowMs);
      if (at === undefined)
        throw invalid(`failed to parse value as time or duration: ${JSON.stringify(value ?? "")}`);
      usedBefore = Math.min(usedBefore ?? Number.POSITIVE_INFINITY, Number(at / 1_000_000n));
    } else if (fields.includes(name)) parts.push(condition(name, value));
    else throw invalid(`invalid filter '${name}'`);
  }
  const wanted = parseEntryFilters([parts.join(",")]);
  const also = parseEntryFilters(request.texts ?? []);
  return {
    all,
    filter: (entry) => !unlabelled && wanted(entry) && also(entry),
    usedBefore,
    reservedSpace,
    maxUsedSpace,
    minFreeSpace,
  };
}

function condition(name: string, value: string | undefined): string {
  const field = name === "parent" ? "parents" : name;
  if (flags.includes(name)) return value === "false" || value === "0" ? `${field}!=true` : field;
  if (value === undefined) return field;
  // People give the beginning of an id, as they do everywhere.
  if (name === "id") return `id~=${JSON.stringify(`^${RegExp.escape(value)}`)}`;
  return `${field}==${JSON.stringify(value)}`;
}
