import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../base/lib/clock.ts";
import { silentLog } from "../../../base/lib/log.ts";
import { AT_FDCWD, O, openat } from "../../../base/sys/at.ts";
import { CacheMounts, type CacheRequest } from "./cache-mounts.ts";

// A machine under load takes its time.
setDefaultTimeout(60_000);

let root: string;
let caches: CacheMounts;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "tug-caches-"));
  caches = await open("caches");
});
afterAll(() => rmSync(root, { recursive: true }));

async function open(name: string): Promise<CacheMounts> {
  const mounts = new CacheMounts({ root: join(root, name), clock: systemClock, log: silentLog });
  await mounts.recover();
  return mounts;
}

let holders = 0;
const never = new AbortController().signal;
const take = (id: string, more: Partial<CacheRequest> = {}, signal = never) =>
  caches.acquire(
    {
      ...{ id, sharing: "shared", mode: 0o755, uid: 0, gid: 0, description: `cache ${id}`, base: undefined },
      holder: `step-${holders++}`,
      ...more,
    },
    signal,
  );
const named = async (id: string, of = caches) => (await of.list()).filter((one) => one.id === id);
const settled = async (work: Promise<unknown>) =>
  await Promise.race([work.then(() => true), Bun.sleep(20).then(() => false)]);

test("who shares a cache has it together; a private one and a shared one keep apart", async () => {
  using first = await take("s");
  using second = await take("s");
  expect(second.path).toBe(first.path);
  using own = await take("s", { sharing: "private" });
  expect(own.path).not.toBe(first.path);
  using third = await take("s");
  expect(third.path).toBe(first.path);
});

test("a private cache is used again once it is free", async () => {
  const first = await take("p", { sharing: "private" });
  const { path } = first;
  first[Symbol.dispose]();
  using again = await take("p", { sharing: "private" });
  expect(again.path).toBe(path);
});

test("a build without cache begins a new one and keeps to it; what another has stays", async () => {
  const before = await take("f");
  writeFileSync(join(before.path, "old"), "x");
  using sharing = await take("f", { freshFor: "a" });
  expect(readdirSync(sharing.path)).toEqual(["old"]);
  sharing[Symbol.dispose]();
  before[Symbol.dispose]();
  const first = await take("f", { freshFor: "b" });
  expect(readdirSync(first.path)).toEqual([]);
  writeFileSync(join(first.path, "new"), "x");
  first[Symbol.dispose]();
  using again = await take("f", { freshFor: "b" });
  expect(readdirSync(again.path)).toEqual(["new"]);
  again[Symbol.dispose]();
  using after = await take("f");
  expect(readdirSync(after.path)).toEqual(["new"]);
  expect(await named("f")).toHaveLength(1);
});

test("who wants a cache locked waits until nobody has it, and may give up waiting", async () => {
  const holder = await take("l");
  const waiting = take("l", { sharing: "locked" });
  expect(await settled(waiting)).toBe(false);
  const controller = new AbortController();
  const impatient = take("l", { sharing: "locked" }, controller.signal);
  controller.abort(new Error("enough"));
  expect(await impatient.catch((error: unknown) => String(error))).toBe("Error: enough");
  holder[Symbol.dispose]();
  const locked = await waiting;
  const next = take("l", { sharing: "locked" });
  expect(await settled(next)).toBe(false);
  locked[Symbol.dispose]();
  (await next)[Symbol.dispose]();
  expect((await named("l")).length).toBe(1);
});

test("one step that mounts a locked cache twice does not wait for itself", async () => {
  using first = await take("twice", { sharing: "locked", holder: "me" });
  using second = await take("twice", { sharing: "locked", holder: "me" });
  expect(second.path).toBe(first.path);
});

test("what a cache begins with and its mode decide which one it is", async () => {
  const base = (key: string) => ({ key, tree: () => openat(AT_FDCWD, "/etc/apt", O.PATH) });
  const paths = new Set<string>();
  for (const more of [{}, { mode: 0o700 }, { uid: 5 }, { base: base("a") }, { base: base("b") }]) {
    using held = await take("same", more);
    paths.add(held.path);
    if (more.base) expect(readdirSync(held.path).sort()).toEqual(readdirSync("/etc/apt").sort());
  }
  expect(paths.size).toBe(5);
});

test("they are listed with sizes and times, and removed only while nobody has them", async () => {
  const held = await take("listed");
  writeFileSync(join(held.path, "data"), Buffer.alloc(1 << 20, 1));
  const [busy] = await named("listed");
  expect(busy).toMatchObject({ inUse: true, shared: true, uses: 0, description: "cache listed" });
  expect(await caches.remove(busy?.name ?? "")).toBe(false);
  held[Symbol.dispose]();
  const [free] = await named("listed");
  expect(free).toMatchObject({ inUse: false, uses: 1 });
  expect(free?.size).toBeGreaterThanOrEqual(1 << 20);
  expect(free?.lastUsed).toBeGreaterThanOrEqual(free?.created ?? Number.NaN);
  expect(await caches.remove(free?.name ?? "")).toBe(true);
  expect(existsSync(held.path)).toBe(false);
  expect(await caches.remove(free?.name ?? "")).toBe(false);
  expect(await caches.remove("../caches")).toBe(false);
});

test("they are found again by the next daemon, and what a crash left is not", async () => {
  {
    using held = await take("kept");
    writeFileSync(join(held.path, "f"), "kept");
  }
  const directory = join(root, "caches");
  for (const name of [".new-1", ".gone-1", "x-0"])
    mkdirSync(join(directory, name, "data"), { recursive: true });
  const torn = (await named("p"))[0]?.name ?? "";
  writeFileSync(join(directory, torn, "cache.json"), '{"id": "p');
  const next = await open("caches");
  expect((await named("kept", next)).length).toBe(1);
  expect(await named("p", next)).toEqual([]);
  expect(
    readdirSync(directory).filter((name) => name.startsWith(".") || name === "x-0" || name === torn),
  ).toEqual([]);
  caches = next;
});

test("a base that cannot be copied leaves nothing behind", async () => {
  const before = readdirSync(join(root, "caches"));
  const base = { key: "file", tree: () => openat(AT_FDCWD, "/etc/passwd", O.PATH) };
  expect(await take("bad", { base }).catch((error: unknown) => String(error))).toContain(
    "only begin with a directory",
  );
  expect(readdirSync(join(root, "caches"))).toEqual(before);
});

test("a cache goes through a tar and comes back as it was", async () => {
  {
    using held = await take("moved", { mode: 0o750, uid: 7 });
    mkdirSync(join(held.path, "d"));
    chmodSync(join(held.path, "d"), 0o1777);
    writeFileSync(join(held.path, "d/file"), "content");
    chmodSync(join(held.path, "d/file"), 0o666);
    linkSync(join(held.path, "d/file"), join(held.path, "hard"));
    symlinkSync("/etc/passwd", join(held.path, "link"));
  }
  const [moved] = await named("moved");
  if (!moved) throw new Error("no cache");
  const other = await open("other");
  expect(await other.import(moved, caches.export(moved.name), never)).toBe(true);
  const path = join(root, "other", (await named("moved", other))[0]?.name ?? "", "data");
  expect(readFileSync(join(path, "hard"), "utf8")).toBe("content");
  expect(statSync(join(path, "hard")).ino).toBe(statSync(join(path, "d/file")).ino);
  expect((statSync(join(path, "d/file")).mode & 0o777).toString(8)).toBe("666");
  expect((statSync(join(path, "d")).mode & 0o7777).toString(8)).toBe("1777");
  const top = statSync(path);
  expect([(top.mode & 0o777).toString(8), top.uid]).toEqual(["750", 7]);
  expect(await other.import(moved, caches.export(moved.name), never)).toBe(false);
  async function* cut(): AsyncGenerator<Uint8Array> {
    for await (const chunk of caches.export(moved?.name ?? "")) return yield chunk.subarray(0, 700);
  }
  const third = await open("third");
  expect(await third.import(moved, cut(), never).catch(() => "refused")).toBe("refused");
  expect(readdirSync(join(root, "third"))).toEqual([]);
});
