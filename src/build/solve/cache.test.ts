import { expect, spyOn, test } from "bun:test";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../base/lib/clock.ts";
import { TugError } from "../../base/lib/errors.ts";
import type { ChainId, Digest } from "../../base/lib/ids.ts";
import { silentLog } from "../../base/lib/log.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import { digestOf } from "../../base/spec/oci/digest.ts";
import { mount, unmountIfMounted } from "../../base/sys/mount/mount.ts";
import { recoverImages } from "../../core/image/recovery.ts";
import { tarOf } from "../../core/image/testdata/fixture.ts";
import type { ExecMount } from "../graph.ts";
import { CacheCollector } from "./collector.ts";
import type { GcPolicy } from "./gc-policy.ts";
import type { CacheEntry } from "./objects.ts";
import { copy, git, Heard, image, local, run, SolverBench, session } from "./testdata/bench.ts";

const chain = (name: string) => `sha256:${name.padEnd(64, "0")}` as ChainId;

function collectorOf(
  bench: SolverBench,
  policy: GcPolicy = undefined,
  now = () => Date.now(),
): CacheCollector {
  const { records, cache, stores } = bench;
  return new CacheCollector({
    ...{ records, cache, snapshots: stores.snapshots, layers: stores.images, log: silentLog },
    ...{ objects: () => bench.objects, policy: () => policy, clock: { ...systemClock, now } },
  });
}

/** Held as a builder holds what it exports. */
async function held(bench: SolverBench, ...vertices: Parameters<SolverBench["solve"]>[0]) {
  const { signal } = new AbortController();
  return await bench.solver.solve(vertices, { session: session("s1"), signal, progress: new Heard() });
}

for (const driver of ["overlay2", "vfs"] as const) {
  test(`after a restart everything is known; what no record names is gone (${driver})`, async () => {
    await using bench = await SolverBench.open({ driver });
    const top = run("after", copy(local(), "a", image("base")));
    const first = await bench.solve([top]);
    // A daemon that was killed leaves what was being made, and what was made but not recorded.
    await bench.stores.snapshots.prepare("build-0123-rw", undefined);
    await bench.steps.make(undefined, async () => undefined);
    const next = await bench.restart();
    next.context = { a: "1" };
    const again = await next.solve([top]);
    expect([next.ran, again.trees]).toEqual([[], first.trees]);
    await next.stores.images.collect();
    expect(next.names.toSorted()).toEqual([...new Set(next.records.snapshots())].toSorted());
  });

  test(`what was not synced when the machine went down is made again, what was synced is kept (${driver})`, async () => {
    await using bench = await SolverBench.open({ driver });
    const safe = run("safe");
    await bench.solve([safe]);
    await bench.cache.sync();
    await bench.solve([run("unsafe", safe)]);
    const next = await bench.restart({ machineWentDown: true });
    expect(next.records.all().map(({ description }) => description)).toEqual(["safe"]);
    expect(next.names.length).toBe(1);
    const made = await next.solve([run("unsafe", safe)]);
    expect([next.ran, made.trees[0]]).toEqual([["unsafe"], { safe: "safe", unsafe: "unsafe" }]);
    // Killed only, the kernel still has what was written.
    const after = await next.restart({ machineWentDown: true });
    await after.solve([run("unsafe", safe)]);
    expect(after.ran).toEqual([]);
  });

  test(`a snapshot that gets its chain id is the image's and the cache's (${driver})`, async () => {
    await using bench = await SolverBench.open({ driver });
    const [lower, upper] = [run("lower"), run("upper", run("lower"))];
    const results = await held(bench, lower, upper);
    const names = results.map((result) => result.snapshot ?? chain("none"));
    const [below = chain("none"), top = chain("none")] = names;
    expect(names.every((name) => name.startsWith("build-"))).toBe(true);
    await bench.cache.name(below, chain("aa"));
    await bench.cache.name(top, chain("bb"));
    expect(results.map((result) => result.snapshot)).toEqual([chain("aa"), chain("bb")]);
    expect(bench.stores.snapshots.stat(chain("bb"))?.parent).toBe(chain("aa"));
    // Who has the old name in hand still finds the files; named twice changes nothing.
    expect(bench.files(top)).toEqual({ lower: "lower", upper: "upper" });
    await bench.cache.name(top, chain("bb"));
    await bench.cache.name(chain("bb"), chain("cc"));
    expect(bench.names.toSorted()).toEqual([chain("aa"), chain("bb")]);
    for (const result of results) result[Symbol.dispose]();
    const next = await bench.restart({ machineWentDown: true });
    await next.solve([run("more", upper)]);
    expect(next.ran).toEqual(["more"]);
  });

  test(`a layer that is there already takes the place of the one that was made (${driver})`, async () => {
    await using bench = await SolverBench.open({ driver });
    const twin = await bench.steps.make(undefined, ({ layout }) =>
      Bun.write(`${layout.kind === "tree" ? layout.tree : layout.upper}/made`, "made").then(() => undefined),
    );
    bench.stores.snapshots.rename(twin, chain("aa"));
    const [result, above] = await held(bench, run("made"), run("above", run("made")));
    const made = result?.snapshot ?? chain("none");
    await bench.cache.name(made, chain("aa"));
    expect(above && bench.stores.snapshots.stat(above.snapshot ?? "")?.parent).toBe(chain("aa"));
    // Held still: a step may have its files mounted.
    expect(bench.names).toContain(made);
    result?.[Symbol.dispose]();
    expect(bench.files(above?.snapshot)).toEqual({ made: "made", above: "above" });
    above?.[Symbol.dispose]();
    await bench.steps.settled();
    expect(bench.names).not.toContain(made);
    expect(bench.records.all().map(({ snapshot }) => snapshot)).toContain(chain("aa"));
    await bench.solve([run("above", run("made"))]);
    expect(bench.ran).toEqual(["made", "above"]);
  });
}

test("a prune goes on when a layer goes with its image at that moment", async () => {
  await using bench = await SolverBench.open();
  const { snapshots } = bench.stores;
  await bench.solve([run("one"), run("two")]);
  const reclaimable = snapshots.reclaimable.bind(snapshots);
  spyOn(snapshots, "reclaimable").mockImplementationOnce(async (name) => {
    await snapshots.remove(name);
    return await reclaimable(name);
  });
  const { ids } = await collectorOf(bench).prune({ all: true });
  expect([ids.length, bench.records.all(), bench.names]).toEqual([2, [], []]);
});

test("what a build makes while images are collected stays", async () => {
  await using bench = await SolverBench.open();
  const { snapshots, images } = bench.stores;
  await snapshots.prepare("stray", undefined);
  await snapshots.commit(chain("aa"), "stray");
  const remove = snapshots.remove.bind(snapshots);
  let results: Awaited<ReturnType<typeof held>> = [];
  spyOn(snapshots, "remove").mockImplementationOnce(async (name) => {
    await remove(name);
    results = await held(bench, run("step"));
  });
  await images.collect();
  expect(snapshots.stat(chain("aa"))).toBeUndefined();
  expect(bench.files(results[0]?.snapshot)).toEqual({ step: "step" });
  for (const result of results) result[Symbol.dispose]();
});

test("a result keeps its snapshot when that could not be given its chain id", async () => {
  await using bench = await SolverBench.open();
  const [result] = await held(bench, run("step"));
  const made = result?.snapshot ?? chain("none");
  spyOn(bench.stores.snapshots, "rename").mockImplementationOnce(() => {
    throw new TugError("resource-exhausted", "the disk is full");
  });
  await expect(bench.cache.name(made, chain("aa"))).rejects.toThrow("the disk is full");
  result?.[Symbol.dispose]();
  await bench.solve([run("step")]);
  expect(bench.ran).toEqual(["step"]);
  const next = await bench.restart();
  expect(next.names).toEqual([made]);
});

test("what the disk may have lost is made again, and becomes no image", async () => {
  await using bench = await SolverBench.open();
  const [result] = await held(bench, run("step"));
  const lost = result?.snapshot ?? chain("none");
  const syncing = spyOn(bench.stores.snapshots, "sync").mockRejectedValueOnce(new Error("the disk is gone"));
  await expect(bench.cache.sync()).rejects.toThrow("the disk is gone");
  await expect(bench.cache.name(lost, chain("aa"))).rejects.toThrow("may not all be on the disk");
  expect(syncing.mock.calls.length).toBe(2);
  // What a build that goes on makes on it is worth no more.
  const above = await bench.steps.make(lost, async () => undefined);
  bench.cache
    .store({ result: digestOf("above"), snapshot: above, type: "regular", description: "above" }, [])
    [Symbol.dispose]();
  expect(bench.cache.find(digestOf("above"))).toBeUndefined();
  result?.[Symbol.dispose]();
  const [again] = await held(bench, run("step"));
  expect(bench.ran).toEqual(["step", "step"]);
  await bench.cache.name(again?.snapshot ?? chain("none"), chain("aa"));
  again?.[Symbol.dispose]();
  await collectorOf(bench).collect();
  expect(bench.names).toEqual([chain("aa")]);
});

test("what a killed daemon left and cannot be removed keeps the next one from nothing", async () => {
  await using bench = await SolverBench.open();
  const { snapshots } = bench.stores;
  await snapshots.prepare("build-0123-rw", undefined);
  await bench.steps.make(undefined, async () => undefined);
  // As an immutable file would, on every file system.
  const held = join(snapshots.upperdir("build-0123-rw") ?? "", "held");
  mkdirSync(held);
  mount("tmpfs", held, "tmpfs", 0, "size=64k");
  try {
    const next = await bench.restart();
    expect(next.names).toEqual([]);
  } finally {
    const trash = join(snapshots.root, ".trash");
    for (const name of readdirSync(trash)) unmountIfMounted(join(trash, name, "diff/held"));
  }
});

test("what a step made and nobody could record goes with the step: a prune would not find it", async () => {
  const kept: ExecMount = { kind: "bind", target: "/mnt", from: undefined, source: "", readonly: false };
  await using bench = await SolverBench.open({
    runners: ({ steps }) => ({
      exec: {
        run: async (step) => {
          const tree = async () => await steps.make(undefined, async () => undefined);
          const made = await tree();
          if (step.op.kept)
            step.onKept?.(
              new Map([
                [-1, made],
                [0, await tree()],
              ]),
            );
          return made;
        },
      },
    }),
  });
  const full = new TugError("resource-exhausted", "the disk is full");
  const insert = bench.records.insert.bind(bench.records);
  const recording = spyOn(bench.records, "insert");
  for (const [step, recorded] of [
    [run("one"), 0],
    [run("two", undefined, { op: { kept: [-1, 0], mounts: [kept] } }), 1],
  ] as const) {
    for (let count = 0; count < recorded; count++) recording.mockImplementationOnce(insert);
    recording.mockImplementationOnce(() => {
      throw full;
    });
    await expect(bench.solve([step])).rejects.toThrow("the disk is full");
    await bench.steps.settled();
    // The first of two outputs was recorded: it is known the next time.
    expect(bench.names.length).toBe(recorded);
    expect(bench.records.all().map(({ id }) => bench.records.inUse(id))).toEqual(Array(recorded).fill(false));
    expect(bench.steps.busy).toBe(false);
  }
});

test("a layer of an image and the cache stays until both have let go", async () => {
  for (const first of ["image", "cache"] as const) {
    await using bench = await SolverBench.open();
    const { images } = bench.stores;
    const pulled = await bench.stores.image(["base"], tarOf([{ path: "os", kind: "file" }, "base"]));
    const [layer = chain("none")] = chainIds(pulled.layers);
    bench.pulls.set("base", layer);
    const top = run("top", image("base"));
    await bench.solve([top]);
    const entries = await collectorOf(bench).entries();
    expect(entries.map(({ description, shared }) => [description.split(" ")[0], shared])).toEqual([
      ["pulled", true],
      ["top", false],
    ]);
    const collector = collectorOf(bench);
    if (first === "image") {
      expect(await images.delete(pulled.id)).toEqual([]);
      await recoverImages({ ...bench.stores, log: silentLog });
      expect(images.unreached()).toEqual({ layers: [], blobs: [] });
      await bench.solve([top]);
      expect(bench.ran).toEqual(["top"]);
      const { ids, bytes } = await collector.prune({ all: false });
      expect([ids.length, bytes > 0]).toEqual([2, true]);
    } else {
      let told = 0;
      const onRemoved = ({ size }: CacheEntry) => {
        told += size;
      };
      const { ids, bytes } = await collector.prune({ all: true }, { onRemoved });
      expect(ids.length).toBe(2);
      // The image's layer stays: it gives nothing back.
      expect([told, bytes]).toEqual([bytes, entries[1]?.size ?? -1]);
      expect(bench.names).toEqual([layer]);
      expect(await images.delete(pulled.id)).toEqual([layer]);
    }
    expect(bench.names).toEqual([]);
    expect(bench.records.all()).toEqual([]);
  }
});

test("prune takes what nobody uses, leaf first, with what was kept for its sake, and tells of it", async () => {
  await using bench = await SolverBench.open();
  const pulled = await bench.stores.image(
    ["base"],
    tarOf([{ path: "a", kind: "file" }, "a"]),
    tarOf([{ path: "b", kind: "file" }, "b"]),
  );
  bench.pulls.set("base", chainIds(pulled.layers).at(-1) ?? chain("none"));
  const used = run("used", image("base"));
  await bench.solve([run("top", used), copy(local(), "a")]);
  await bench.stores.images.delete(pulled.id);
  const [result] = await held(bench, used);
  const removed: string[] = [];
  const onRemoved = ({ description }: CacheEntry) => void removed.push(description.split(" ")[0] ?? "");
  const collector = collectorOf(bench);
  const usage = await collector.usage();
  expect([usage.total, usage.active]).toEqual([4, 1]);
  expect(usage.size).toBeGreaterThan(usage.reclaimable);
  await collector.prune({ all: true }, { onRemoved });
  expect(removed.toSorted()).toEqual(["file", "top"]);
  result?.[Symbol.dispose]();
  await collector.prune({ all: true, filters: { type: ["regular"] } }, { onRemoved });
  expect(removed.slice(2)).toEqual(["used", "pulled"]);
  expect(bench.names).toEqual(bench.released);
  expect(await collector.usage()).toMatchObject({ active: 0, total: 0, size: 0, reclaimable: 0 });
});

test("what others keep for builds is listed, pruned and kept in use with the rest", async () => {
  await using bench = await SolverBench.open();
  const kept = new Map<string, CacheEntry>();
  const add = (id: string, more: Partial<CacheEntry>) =>
    kept.set(id, {
      ...{ id, parents: [], type: "exec.cachemount", description: "cached mount /cache", inUse: false },
      ...{ shared: false, size: 50, created: 1, used: undefined, uses: 3, ...more },
    });
  add("mount", {});
  add("busy", { inUse: true });
  bench.objects.push({ list: async () => [...kept.values()], remove: async (id) => kept.delete(id) });
  await bench.solve([run("step")]);
  const collector = collectorOf(bench);
  const { items } = await collector.usage();
  expect(items.map(({ Type }) => Type).toSorted()).toEqual(["exec.cachemount", "exec.cachemount", "regular"]);
  expect(items.find(({ ID }) => ID === "mount")).toEqual({
    ...{
      ID: "mount",
      Type: "exec.cachemount",
      Description: "cached mount /cache",
      InUse: false,
      Shared: false,
    },
    ...{ Size: 50, CreatedAt: "1970-01-01T00:00:00.001Z", LastUsedAt: null, UsageCount: 3 },
  });
  expect(await collector.prune({ all: false, texts: ["type==exec.cachemount"] })).toEqual({
    ids: ["mount"],
    bytes: 50,
  });
  expect([...kept.keys()]).toEqual(["busy"]);
});

test("the collector keeps to its policy, and what a build counts on stays", async () => {
  await using bench = await SolverBench.open();
  const begun = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  await bench.solve([run("old"), run("base")]);
  bench.commands.set("slow", async () => {
    begun.resolve();
    await go.promise;
  });
  const building = bench.solve([run("slow", run("base"))]);
  await begun.promise;
  const late = () => Date.now() + 72 * 3_600_000;
  const rule = { all: false, filters: [], unusedFor: 48 * 3_600_000 };
  await collectorOf(bench, [rule]).collect();
  expect(
    bench.records
      .all()
      .map(({ description }) => description)
      .toSorted(),
  ).toEqual(["base", "old"]);
  await collectorOf(bench, undefined, late).collect();
  expect(bench.records.all().length).toBe(2);
  await collectorOf(bench, [rule], late).collect();
  expect(bench.records.all().map(({ description }) => description)).toEqual(["base"]);
  go.resolve();
  await building;
  expect(bench.ran).toEqual(["old", "base", "slow"]);
});

test("a step costs the same however much it stands on", async () => {
  const lookUps = async (depth: number) => {
    await using bench = await SolverBench.open();
    let top = run("0");
    for (let i = 1; i < depth; i++) top = run(String(i), top);
    const stat = spyOn(bench.stores.snapshots, "stat");
    await bench.solve([top]);
    return stat.mock.calls.length;
  };
  const [few, many] = [await lookUps(8), await lookUps(32)];
  expect(many).toBeLessThanOrEqual(few * 5);
});

test("two results of one key: the later one is found, the earlier one is collected", async () => {
  await using bench = await SolverBench.open();
  await bench.solve([copy(local(), "a")]);
  await bench.solve([copy(local(), "a", undefined, { ignoreCache: true })]);
  expect(bench.records.all().map(({ result }) => result === undefined)).toEqual([true, false]);
  await collectorOf(bench, []).collect();
  expect(bench.records.all().length).toBe(1);
  await bench.solve([copy(local(), "a")]);
  expect(bench.ran.filter((what) => what === "copy a").length).toBe(2);
});

test("keys that lead nowhere are forgotten after sixty days", async () => {
  await using bench = await SolverBench.open();
  const [key, result] = [chain("1"), chain("2")] as unknown as readonly [Digest, Digest];
  bench.records.addKeys(result, [key]);
  bench.records.forgetKeys();
  expect(bench.records.link(key)).toBe(result);
  const later = await bench.restart({ clock: { ...systemClock, now: () => Date.now() + 61 * 86_400_000 } });
  later.records.forgetKeys();
  expect(later.records.link(key)).toBeUndefined();
});

test("what a build has found and not yet used is in use", async () => {
  await using bench = await SolverBench.open();
  const lib = run("lib");
  const top = copy(lib, "lib", run("root", git("https://host/repo.git")));
  await bench.solve([top]);
  bench.commit = "2";
  const gate = Promise.withResolvers<void>();
  bench.gate = gate.promise;
  const found = Promise.withResolvers<void>();
  const progress = new Heard();
  progress.vertex = ({ name, cached }) => void (name === "lib" && cached && found.resolve());
  const building = bench.solve([top], { progress });
  await found.promise;
  await collectorOf(bench).prune({ all: true });
  expect(bench.records.all().map(({ description }) => description)).toEqual(["lib"]);
  gate.resolve();
  await building;
  expect(bench.ran.filter((what) => what === "lib").length).toBe(1);
});
