import { expect, test } from "bun:test";
import { codeOf, messageOf } from "../../base/lib/errors.ts";
import { parseEntryFilters } from "./filter.ts";
import { defaultGcPolicy, readGcPolicy } from "./gc-policy.ts";
import type { CacheEntry } from "./objects.ts";
import { type PruneRule, planPrune } from "./prune-plan.ts";
import { pruneRule } from "./prune-request.ts";

const hour = 3_600_000;
const now = 1_000 * hour;
/** `age`: hours since it was used. */
function entry(id: string, age: number, more: Partial<CacheEntry> = {}): CacheEntry {
  return {
    ...{ id, parents: [], type: "regular", description: `RUN ${id}`, inUse: false, shared: false, size: 100 },
    ...{ created: now - 900 * hour, used: now - age * hour, uses: 1, ...more },
  };
}
const rule = (more: Partial<PruneRule> = {}): PruneRule => ({ all: false, filter: () => true, ...more });
const disk = { free: 1_000 };
const told = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    return `${codeOf(error)}: ${messageOf(error)}`;
  }
  return "none";
};

test("what was unused for longest goes first, and nothing before what stands on it", () => {
  const entries = [
    entry("base", 50),
    entry("middle", 40, { parents: ["base"] }),
    entry("top", 1, { parents: ["middle"] }),
    entry("alone", 30),
  ];
  expect(planPrune(entries, rule(), disk)).toEqual(["alone", "top", "middle", "base"]);
  expect(planPrune(entries, rule({ usedBefore: now - 10 * hour }), disk)).toEqual(["alone"]);
});

test("what is in use stays with all below it; what images have, and internals, go only with all", () => {
  const entries = [
    entry("base", 50),
    entry("used", 40, { parents: ["base"], inUse: true }),
    entry("shared", 30, { shared: true }),
    entry("internal", 20, { type: "internal" }),
    entry("other", 10),
  ];
  expect(planPrune(entries, rule(), disk)).toEqual(["other"]);
  expect(planPrune(entries, rule({ all: true }), disk)).toEqual(["shared", "internal", "other"]);
});

test("bounds take no more than they ask for, and count nothing that is shared", () => {
  const entries = [
    entry("a", 4),
    entry("b", 3),
    entry("c", 2),
    entry("d", 1),
    entry("s", 9, { shared: true }),
  ];
  const plan = (more: Partial<PruneRule>, free = 1_000) => planPrune(entries, rule(more), { free });
  expect(plan({ reservedSpace: 250 })).toEqual(["a", "b"]);
  expect(plan({ reservedSpace: 400 })).toEqual([]);
  expect(plan({ maxUsedSpace: 350 })).toEqual(["a"]);
  expect(plan({ maxUsedSpace: 100, reservedSpace: 300 })).toEqual(["a"]);
  expect(plan({ minFreeSpace: 1_000 })).toEqual([]);
  expect(plan({ minFreeSpace: 1_150 })).toEqual(["a", "b"]);
  expect(plan({ minFreeSpace: 5_000, reservedSpace: 100 })).toEqual(["a", "b", "c"]);
  expect(plan({ maxUsedSpace: 350, minFreeSpace: 1_150 })).toEqual(["a", "b"]);
  // Nothing matters of what the filter leaves out, but its size counts.
  expect(plan({ reservedSpace: 300, filter: ({ id }) => id === "d" })).toEqual(["d"]);
});

test("filters of the API and of BuildKit's own syntax mean what they say", () => {
  const entries = [
    entry("abc1", 100, { type: "exec.cachemount" }),
    entry("abd2", 10, { parents: ["abc1"], description: 'RUN "a, b"' }),
    entry("xyz3", 1, { shared: true, inUse: true }),
  ];
  const ids = (filter: PruneRule["filter"]) => entries.filter(filter).map(({ id }) => id);
  const wire = (filters: Readonly<Record<string, readonly string[]>>) =>
    ids(pruneRule({ all: true, filters }, now).filter);
  expect(wire({})).toEqual(["abc1", "abd2", "xyz3"]);
  expect(wire({ id: ["ab"] })).toEqual(["abc1", "abd2"]);
  expect(wire({ type: ["exec.cachemount"] })).toEqual(["abc1"]);
  expect(wire({ parent: ["abc1"] })).toEqual(["abd2"]);
  expect(wire({ description: ['RUN "a, b"'] })).toEqual(["abd2"]);
  expect(wire({ inuse: [] })).toEqual(["xyz3"]);
  expect(wire({ inuse: ["false"], type: ["regular"] })).toEqual(["abd2"]);
  expect(wire({ private: ["true"] })).toEqual(["abc1", "abd2"]);
  expect(wire({ shared: [""] })).toEqual(["xyz3"]);
  // What `system prune` hands on.
  expect(wire({ "label!": ["keep"] })).toEqual(["abc1", "abd2", "xyz3"]);
  expect(wire({ label: ["a=b", "c"] })).toEqual([]);
  const until = pruneRule({ all: true, filters: { until: ["24h"] } }, now);
  expect(planPrune(entries.slice(0, 1), until, disk)).toEqual(["abc1"]);
  expect(planPrune(entries.slice(1, 2), until, disk)).toEqual([]);
  const text = (...texts: readonly string[]) => ids(parseEntryFilters(texts));
  expect(text("type==regular,shared", "id==abc1")).toEqual(["abc1", "xyz3"]);
  expect(text("id~=^ab[cd]")).toEqual(["abc1", "abd2"]);
  expect(text("type!=regular", "mutable,inuse")).toEqual(["abc1"]);
  expect(text('description=="RUN \\"a, b\\""')).toEqual(["abd2"]);
  expect(told(() => pruneRule({ all: true, filters: { size: ["x"] } }, now))).toBe(
    "invalid-argument: invalid filter 'size'",
  );
  expect(told(() => pruneRule({ all: true, filters: { id: ["a", "b"] } }, now))).toContain("only one value");
  expect(told(() => pruneRule({ all: true, filters: { until: ["soon"] } }, now))).toContain(
    "invalid-argument",
  );
  for (const bad of ["nosuch", "id~=(", 'id=="a', "id=x", "toString==x"])
    expect(told(() => parseEntryFilters([bad]))).toContain("invalid-argument: invalid cache filter");
});

test("without settings a tenth of the disk is kept, and what is easily had again goes after two days", () => {
  const gb = 1e9;
  const policy = readGcPolicy(undefined, 100 * gb);
  expect(policy).toEqual(defaultGcPolicy(100 * gb));
  expect(policy?.map(({ all, unusedFor }) => [all, unusedFor / hour])).toEqual([
    [false, 48],
    [false, 1440],
    [false, 0],
    [true, 0],
  ]);
  expect(policy?.[0]?.maxUsedSpace).toBe(1_381_758_023);
  expect(policy?.[2]).toMatchObject({ reservedSpace: 10 * gb, maxUsedSpace: 80 * gb, minFreeSpace: 20 * gb });
  expect(readGcPolicy({ gc: { enabled: false } }, gb)).toBeUndefined();
  const kept = readGcPolicy({ gc: { enabled: true, defaultKeepStorage: "20GB" } }, 100 * gb);
  expect(kept?.[1]).toMatchObject({ reservedSpace: 20 * 2 ** 30, maxUsedSpace: undefined });
});

test("a policy of daemon.json is read as Docker's, and what is wrong in it is named", () => {
  const policy = readGcPolicy(
    {
      gc: {
        enabled: true,
        policy: [
          { keepStorage: "1GB", filter: ["unused-for=2200h", "type=source.local,shared"] },
          { maxUsedSpace: "2GB", minFreeSpace: "3GB", keepDuration: ["1h"] },
          { all: true, reservedSpace: "512MB" },
        ],
      },
    },
    1e12,
  );
  expect(policy).toMatchObject([
    { reservedSpace: 2 ** 30, unusedFor: 2200 * hour, filters: ["type==source.local,shared"], all: false },
    { maxUsedSpace: 2 ** 31, minFreeSpace: 3 * 2 ** 30, unusedFor: hour },
    { all: true, reservedSpace: 512 * 2 ** 20 },
  ]);
  for (const [gc, text] of [
    [{ policy: {} }, "builder.gc.policy: expected a list"],
    [{ enabled: "yes" }, "builder.gc.enabled"],
    [{ policy: [{ keepStorage: "much" }] }, "builder.gc.policy[0].reservedSpace"],
    [{ policy: [{ filter: ["nosuch=1"] }] }, "invalid cache filter"],
    [{ policy: [{ filter: ["unused-for=long"] }] }, "builder.gc.policy[0].filter"],
    [{ keep: 1 }, "builder.gc.keep: unknown"],
    [[], "builder.gc: expected an object"],
  ] as const)
    expect(told(() => readGcPolicy({ gc }, 1e12))).toContain(text);
});
