import { invalid } from "../../base/lib/errors.ts";
import { parseSize } from "../../base/lib/size.ts";
import { parseDuration } from "../../base/lib/timestamp.ts";
import { parseEntryFilters } from "./filter.ts";
import type { PruneRule } from "./prune-plan.ts";

/** A rule of the collector: as `PruneRule`, with the age instead of the time. */
export interface GcRule extends Omit<PruneRule, "usedBefore" | "filter"> {
  readonly filters: readonly string[];
  /** Milliseconds without use; 0: any. */
  readonly unusedFor: number;
}

/** daemon.json, `builder.gc`; undefined: switched off. */
export type GcPolicy = readonly GcRule[] | undefined;

const day = 86_400_000;
const easilyMadeAgain = ["type==source.local", "type==exec.cachemount", "type==source.git.checkout"];

/**
 * What is collected unless told otherwise (docs.docker.com/build/cache/garbage-collection): what is easily had again after two days, everything
 * after sixty, and the rest down to the bounds, which are shares of the disk: a tenth may always be used, never more than 80 %, and 20 % are to be free.
 */
export function defaultGcPolicy(
  diskBytes: number,
  given: Pick<PruneRule, "reservedSpace" | "maxUsedSpace" | "minFreeSpace"> = {},
): readonly GcRule[] {
  const none = !given.reservedSpace && !given.maxUsedSpace && !given.minFreeSpace;
  const bounds = none
    ? { reservedSpace: diskBytes * 0.1 || 2e9, maxUsedSpace: diskBytes * 0.8, minFreeSpace: diskBytes * 0.2 }
    : given;
  // As much as moby gives them: its share of the reserved space is e · π · φ percent.
  const temporary = Math.max(512e6, Math.round(((bounds.reservedSpace ?? 0) * 13.817580227176) / 100));
  return [
    { all: false, filters: easilyMadeAgain, unusedFor: 2 * day, maxUsedSpace: temporary },
    { all: false, filters: [], unusedFor: 60 * day, ...bounds },
    { all: false, filters: [], unusedFor: 0, ...bounds },
    { all: true, filters: [], unusedFor: 0, ...bounds },
  ];
}

/** Reads daemon.json's `builder` object: `{"gc": {"enabled", "defaultKeepStorage", "policy": [...]}}`. Throws invalid, naming the member. */
export function readGcPolicy(builder: unknown, diskBytes: number): GcPolicy {
  const gc = members(
    members(builder, "builder", ["gc", "Entitlements", "entitlements", "frontends"])["gc"],
    "builder.gc",
    [
      ...["enabled", "policy", "defaultKeepStorage", "defaultReservedSpace"],
      ...["defaultMaxUsedSpace", "defaultMinFreeSpace"],
    ],
  );
  const enabled = gc["enabled"] ?? true;
  if (typeof enabled !== "boolean") throw invalid("builder.gc.enabled: expected true or false");
  if (!enabled) return undefined;
  const policy = gc["policy"];
  if (policy !== undefined && !Array.isArray(policy)) throw invalid("builder.gc.policy: expected a list");
  const kept = bytes(
    gc["defaultReservedSpace"] ?? gc["defaultKeepStorage"],
    "builder.gc.defaultReservedSpace",
  );
  if (policy !== undefined && policy.length > 0)
    return policy.map((rule: unknown, index) => readRule(rule, `builder.gc.policy[${index}]`, kept));
  return defaultGcPolicy(diskBytes, {
    reservedSpace: kept,
    maxUsedSpace: bytes(gc["defaultMaxUsedSpace"], "builder.gc.defaultMaxUsedSpace"),
    minFreeSpace: bytes(gc["defaultMinFreeSpace"], "builder.gc.defaultMinFreeSpace"),
  });
}

function readRule(value: unknown, where: string, kept: number | undefined): GcRule {
  const names = [
    "all",
    "filter",
    "keepStorage",
    "reservedSpace",
    "maxUsedSpace",
    "minFreeSpace",
    "keepDuration",
  ];
  const rule = members(value, where, names);
  const all = rule["all"] ?? false;
  if (typeof all !== "boolean") throw invalid(`${where}.all: expected true or false`);
  const filters: string[] = [];
  let unusedFor = age(rule["keepDuration"], `${where}.keepDuration`);
  for (const text of listOf(rule["filter"], `${where}.filter`)) {
    const [, name, value = ""] = /^(unused-for|until)=+(.*)$/.exec(text) ?? [];
    if (name !== undefined) unusedFor = age(value, `${where}.filter`);
    // Docker writes "type=x" where BuildKit has "type==x".
    else filters.push(text.replace(/(^|,)([a-z.]+)=(?![=~])/g, "$1$2=="));
  }
  parseEntryFilters(filters);
  return {
    all,
    filters,
    unusedFor,
    reservedSpace: bytes(rule["reservedSpace"] ?? rule["keepStorage"], `${where}.reservedSpace`) ?? kept,
    maxUsedSpace: bytes(rule["maxUsedSpace"], `${where}.maxUsedSpace`),
    minFreeSpace: bytes(rule["minFreeSpace"], `${where}.minFreeSpace`),
  };
}

function members(value: unknown, where: string, names: readonly string[]): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw invalid(`${where}: expected an object`);
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown !== undefined) throw invalid(`${where}.${unknown}: unknown; it has ${names.join(", ")}`);
  return { ...value };
}

function listOf(value: unknown, where: string): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : value === undefined ? [] : [value];
  return list.map((one) => {
    if (typeof one !== "string") throw invalid(`${where}: expected a list of texts`);
    return one;
  });
}

function bytes(value: unknown, where: string): number | undefined {
  if (value === undefined || value === "") return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  if (typeof value !== "string") throw invalid(`${where}: expected a size such as "10GB"`);
  try {
    return parseSize(value);
  } catch (error) {
    throw invalid(`${where}: expected a size such as "10GB", not ${JSON.stringify(value)}`, error);
  }
}

/** Milliseconds. */
function age(value: unknown, where: string): number {
  // A list of one is how Docker's own examples have it.
  const [text] = listOf(value, where);
  if (text === undefined || text === "") return 0;
  const nanos = parseDuration(text);
  if (nanos === undefined || nanos < 0n)
    throw invalid(`${where}: expected an age such as "48h", not ${text}`);
  return Number(nanos / 1_000_000n);
}
