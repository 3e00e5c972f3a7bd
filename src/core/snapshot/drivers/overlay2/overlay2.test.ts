import { expect, test } from "bun:test";
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../../base/lib/clock.ts";
import { messageOf } from "../../../../base/lib/errors.ts";
import type { ChainId } from "../../../../base/lib/ids.ts";
import { openDatabase } from "../../../../base/store/database.ts";
import { mountSpec, unmountIfMounted } from "../../../../base/sys/mount/mount.ts";
import { listChanges } from "../../changes.ts";
import { diffTar } from "../../diff.ts";
import { layerStacks } from "../../layer-stacks.ts";
import { overlayProblem } from "../../probe.ts";
import { snapshotterSuite } from "../../suite.ts";
import { openOverlay2 } from "./overlay2.ts";

snapshotterSuite("overlay2", ({ db, root }) => openOverlay2({ db, root, clock: systemClock }));

test("120 layers mount, and a removal in the top is a whiteout in its upper directory", async () => {
  const base = mkdtempSync(join(tmpdir(), "overlay2-deep-"));
  const target = join(base, "mnt");
  mkdirSync(target);
  const db = openDatabase(join(base, "db"));
  try {
    const root = join(base, "root");
    const snapshots = await openOverlay2({ db, root, clock: systemClock, sync: async () => undefined });
    let parent: ChainId | undefined;
    for (let i = 0; i < 120; i++) {
      const name = `sha256:${String(i).padStart(64, "0")}` as ChainId;
      await snapshots.prepare(`k${i}`, parent);
      writeFileSync(join(snapshots.upperdir(`k${i}`) ?? "", `f${i}`), "");
      await snapshots.commit(name, `k${i}`);
      parent = name;
    }
    for (const mount of await snapshots.prepare("box", parent)) mountSpec(mount, target);
    expect(readdirSync(target).length).toBe(120);
    rmSync(join(target, "f7"));
    unmountIfMounted(target);
    const whiteout = lstatSync(join(snapshots.upperdir("box") ?? "", "f7"));
    expect([whiteout.isCharacterDevice(), whiteout.rdev]).toEqual([true, 0]);
  } finally {
    unmountIfMounted(target);
    db.close();
    rmSync(base, { recursive: true, force: true });
  }
});

test("a root on overlay itself is found unfit, one on a plain file system fit", () => {
  const base = mkdtempSync(join(tmpdir(), "overlay2-probe-"));
  const at = (name: string) => join(base, name);
  try {
    for (const name of ["l", "u", "w", "m"]) mkdirSync(at(name));
    expect(overlayProblem(at("fit"))).toBeUndefined();
    expect(readdirSync(at("fit"))).toEqual([]);
    const options = [`lowerdir=${at("l")}`, `upperdir=${at("u")}`, `workdir=${at("w")}`];
    mountSpec({ type: "overlay", source: "overlay", options }, at("m"));
    expect(overlayProblem(join(at("m"), "root"))).toBeString();
  } finally {
    unmountIfMounted(at("m"));
    rmSync(base, { recursive: true, force: true });
  }
});

test("snapshots that were filled side by side become a stack at once; one that is there already stays", async () => {
  const base = mkdtempSync(join(tmpdir(), "overlay2-stack-"));
  const target = join(base, "mnt");
  mkdirSync(target);
  const db = openDatabase(join(base, "db"));
  const name = (text: string) => `sha256:${text.padEnd(64, "0")}` as ChainId;
  try {
    const synced: string[] = [];
    const sync = async (path: string) => void synced.push(path);
    const snapshots = await openOverlay2({ db, root: join(base, "root"), clock: systemClock, sync });
    const stacks = layerStacks(snapshots);
    if (!stacks) throw new Error("overlay2 cannot make stacks");
    const fill = async (key: string) => {
      await snapshots.prepare(key, undefined);
      writeFileSync(join(snapshots.upperdir(key) ?? "", key), key);
    };
    for (const key of ["c", "b", "a"]) await fill(key);
    chmodSync(snapshots.upperdir("a") ?? "", 0o711);
    const layers = ["a", "b", "c"].map((key) => ({ name: name(key), key, inheritsRoot: key !== "a" }));
    expect(await stacks.commitStack(undefined, layers)).toEqual([]);
    expect(synced).toHaveLength(1);
    const told = [...snapshots.list()].map((info) => [info.name, info.kind, info.parent]);
    expect(told.toSorted()).toEqual([
      [name("a"), "committed", undefined],
      [name("b"), "committed", name("a")],
      [name("c"), "committed", name("b")],
    ]);
    for (const mount of snapshots.mounts(name("c"))) mountSpec(mount, target);
    expect(readdirSync(target).sort()).toEqual(["a", "b", "c"]);
    expect(lstatSync(target).mode & 0o7777).toBe(0o711);
    unmountIfMounted(target);
    for (const key of ["again", "d"]) await fill(key);
    const more = [
      { name: name("b"), key: "again", inheritsRoot: true },
      { name: name("d"), key: "d", inheritsRoot: true },
    ];
    expect(await stacks.commitStack(name("a"), more)).toEqual(["again"]);
    expect(snapshots.stat(name("d"))?.parent).toBe(name("b"));
    expect(snapshots.stat("again")?.kind).toBe("active");
    await snapshots.prepare("upon", name("a"));
    const upon = [{ name: name("e"), key: "upon", inheritsRoot: true }];
    await expect(stacks.commitStack(undefined, upon)).rejects.toThrow("cannot become a layer");
  } finally {
    unmountIfMounted(target);
    db.close();
    rmSync(base, { recursive: true, force: true });
  }
});

test("a snapshot that another completes shows both, keeps what it needs, and stands alone when it is told to", async () => {
  const base = mkdtempSync(join(tmpdir(), "overlay2-base-"));
  const target = join(base, "mnt");
  mkdirSync(target);
  const db = openDatabase(join(base, "db"));
  const chain = (letter: string) => `sha256:${letter.repeat(64)}` as ChainId;
  const open = () =>
    openOverlay2({ db, root: join(base, "root"), clock: systemClock, sync: async () => undefined });
  try {
    let snapshots = await open();
    const own = (name: string) => snapshots.upperdir(name) ?? "";
    const make = async (letter: string, parent: ChainId | undefined, from?: ChainId) => {
      await snapshots.prepare(letter, parent);
      writeFileSync(join(own(letter), `own-${letter}`), letter);
      await snapshots.commit(chain(letter), letter, from === undefined ? {} : { base: own(from) });
    };
    const names = (name: string) => {
      for (const mount of snapshots.mounts(name)) mountSpec(mount, target);
      try {
        return readdirSync(target).sort().join(" ");
      } finally {
        unmountIfMounted(target);
      }
    };
    await make("a", undefined);
    await make("b", chain("a"));
    await make("c", chain("a"), chain("b"));
    expect(names(chain("c"))).toBe("own-a own-b own-c");
    expect([...diffTar(snapshots.layout(chain("c")))].join("")).toContain("own-b");
    expect(listChanges(snapshots.layout(chain("c"))).map(({ path }) => path)).toEqual(["/own-b", "/own-c"]);
    // Also as what it stands on already, which the kernel would not mount twice.
    await make("d", chain("c"), chain("b"));
    await make("e", chain("d"), chain("c"));
    expect(names(chain("e"))).toBe("own-a own-b own-c own-d own-e");
    for (const letter of ["e", "d"]) await snapshots.remove(chain(letter));

    const [, told] = [await snapshots.usage(chain("b")), await snapshots.usage(chain("c"))];
    await snapshots.remove(chain("b"));
    expect(snapshots.stat(chain("b"))).toBeUndefined();
    snapshots = await open();
    expect(names(chain("c"))).toBe("own-a own-b own-c");
    expect((await snapshots.usage(chain("c"))).inodes).toBe(told.inodes + 2);
    const gone = own(chain("c")).replace(/[a-z0-9]+\/diff$/, "missing/diff");
    await snapshots.prepare("f", chain("a"));
    expect(await snapshots.commit(chain("f"), "f", { base: gone }).catch(messageOf)).toContain("are gone");

    writeFileSync(join(own(chain("c")), "own-b"), "");
    await snapshots.completed(chain("c"));
    expect(names(chain("c"))).toBe("own-a own-b own-c");
    expect(snapshots.layout(chain("c"))).not.toHaveProperty("base");
    // a, c and f, and the trash.
    expect(readdirSync(join(base, "root"))).toHaveLength(4);

    // Whose base a lost disk took is not there either.
    await make("g", chain("a"), chain("c"));
    await snapshots.remove(chain("c"));
    const layout = snapshots.layout(chain("g"));
    rmSync(join((layout.kind === "overlay" && layout.base) || "", ".."), { recursive: true });
    expect([...(await open()).list()].map(({ name }) => name).sort()).toEqual(["f", chain("a")].sort());
  } finally {
    unmountIfMounted(target);
    db.close();
    rmSync(base, { recursive: true, force: true });
  }
});
