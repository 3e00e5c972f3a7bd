import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChainId } from "../../../../base/lib/ids.ts";
import { AT_FDCWD } from "../../../../base/sys/at.ts";
import { RootedDir } from "../../../../base/sys/rooted-dir.ts";
import { lstatat } from "../../../../base/sys/stat.ts";
import { listChanges, snapshotChanges } from "../../../../core/snapshot/changes.ts";
import { digestLayer } from "../../../../core/snapshot/diff.ts";
import type { FileOp } from "../../../graph.ts";
import { copyOp, stepOf, TestSteps } from "../../testdata/steps.ts";
import { FileRunner } from "../file-runner.ts";
import { pruneNotes } from "./copy-notes.ts";
import { EarlierCopy, sameness } from "./earlier-copy.ts";

// Each step is a process of its own.
setDefaultTimeout(60_000);

const probe = mkdtempSync(join(tmpdir(), "birth-"));
const tellsBirth = lstatat(AT_FDCWD, probe).btime !== 0n;
rmSync(probe, { recursive: true });
if (!tellsBirth) console.log(`skipped: the file system of ${tmpdir()} does not tell when files were made`);
const reusing = test.skipIf(!tellsBirth);

let steps: TestSteps;
let runner: FileRunner;
let notes: string;
let base: ChainId;
/** Forty files in each of `src/a`, `src/b` and `src/etc`, one of which runs as its owner. */
let source: ChainId;

beforeAll(async () => {
  steps = await TestSteps.open();
  const { helper, snapshots, scratch, snapshotter } = steps;
  notes = join(steps.root, "copies");
  mkdirSync(notes);
  runner = new FileRunner({
    ...{ helper, snapshots, scratch },
    notes: { directory: notes, trees: snapshotter.root },
  });
  base = await steps.tree((root) => mkdirSync(join(root, "app")));
  source = await steps.tree((root) => {
    for (const part of ["a", "b", "etc"]) {
      mkdirSync(join(root, "src", part), { recursive: true });
      for (let number = 0; number < 40; number++) {
        writeFileSync(join(root, "src", part, `f${number}`), `${part} ${number}\n`);
        utimesSync(join(root, "src", part, `f${number}`), 1000, 1_000_000_000 + number);
      }
    }
    symlinkSync("f1", join(root, "src/a/link"));
    chmodSync(join(root, "src/b/f7"), 0o4755);
  });
});
afterAll(() => steps[Symbol.asyncDispose]());

const copyAll = copyOp(["src"], "/app/new/");

interface Made {
  readonly made: ChainId;
  readonly digests: readonly string[];
}

async function copy(
  op: FileOp,
  from: ChainId,
  options: { readonly ignoreCache?: boolean; readonly runner?: FileRunner } = {},
): Promise<Made> {
  const step = stepOf(op, [base, from]);
  let digests: readonly string[] = [];
  const made = await (options.runner ?? runner).run({
    ...step,
    vertex: { ...step.vertex, ignoreCache: options.ignoreCache ?? false },
    onCopied: (told) => {
      digests = told;
    },
  });
  return { made, digests };
}

/** What a runner makes that knows of no earlier copy. */
async function copyAnew(op: FileOp, from: ChainId): Promise<Made> {
  const { helper, snapshots, scratch } = steps;
  return await copy(op, from, { runner: new FileRunner({ helper, snapshots, scratch }) });
}

/** Names, kinds, modes, owners, times and contents of everything; a directory that was there is as old as its last entry. */
function everything(made: ChainId): readonly string[] {
  return steps.look(made, (root) =>
    readdirSync(root, { recursive: true, encoding: "utf8" })
      .sort()
      .map((path) => {
        const { mode, uid, gid, mtimeMs, size, nlink } = lstatSync(join(root, path));
        const file = lstatSync(join(root, path)).isFile();
        const text = file ? [readFileSync(join(root, path), "utf8"), size, nlink] : [];
        const isNew = path.startsWith("app/new/");
        return [path, mode, uid, gid, isNew ? mtimeMs : "", ...text].join(" ");
      }),
  );
}

/** Regular files that a copy has of its own, below /app/new; whiteouts count as "-". */
function own(made: ChainId): readonly string[] {
  const upper = steps.snapshotter.upperdir(made) ?? "";
  return readdirSync(upper, { recursive: true, encoding: "utf8" })
    .filter((path) => !lstatSync(join(upper, path)).isDirectory())
    .map((path) => (lstatSync(join(upper, path)).isCharacterDevice() ? `-${path}` : path))
    .filter((path) => !path.endsWith("link"))
    .sort();
}

/** Whose layer is the same at any time. */
const fixed = { ...copyOp(["src"], "/all/"), epoch: 1_500_000_000 };

/** A copy is the same as one that was made without looking at the earlier one: as a tree, as a layer, and in what it tells. */
async function isAsAnew(op: FileOp, from: ChainId, { made, digests }: Made): Promise<void> {
  const anew = await copyAnew(op, from);
  expect(everything(made)).toEqual(everything(anew.made));
  expect(digests).toEqual(anew.digests);
  const of = (one: ChainId) => {
    const changes = [...snapshotChanges(steps.snapshotter.layout(one))];
    return changes.map(({ kind, path }) => `${kind} ${path}`);
  };
  expect(of(made)).toEqual(of(anew.made));
  const layer = (one: Made) => digestLayer(steps.snapshotter.layout(one.made));
  expect(layer(await copy(fixed, from))).toEqual(layer(await copyAnew(fixed, from)));
}

reusing(
  "what did not change since the step's last run is not copied again, and the result is as if it were",
  async () => {
    await copy(copyAll, source);
    await copy(fixed, source);
    const changed = await steps.tree((root) => {
      // As large and as old as it was.
      writeFileSync(join(root, "src/a/f0"), "a 9\n");
      utimesSync(join(root, "src/a/f0"), 1000, 1_000_000_000);
      chmodSync(join(root, "src/a/f2"), 0o600);
      utimesSync(join(root, "src/a/f3"), 1000, 1_234_567_890);
      rmSync(join(root, "src/a/f4"));
      rmSync(join(root, "src/a/f5"));
      mkdirSync(join(root, "src/a/f5/deep"), { recursive: true });
      renameSync(join(root, "src/b/f8"), join(root, "src/b/f9"));
      chmodSync(join(root, "src/b"), 0o700);
      rmSync(join(root, "src/a/link"));
      rmSync(join(root, "src/etc"), { recursive: true });
      writeFileSync(join(root, "src/etc"), "a file now");
    }, source);
    const second = await copy(copyAll, changed);
    const at = (path: string) => path.replace("+", "app/new/");
    expect(own(second.made)).toEqual(
      ["-+a/f4", "-+a/link", "-+b/f8", "+a/f0", "+a/f2", "+a/f3", "+b/f9", "+etc"]
        .map(at)
        .filter((path) => !path.endsWith("link")),
    );
    await isAsAnew(copyAll, changed, second);
    // And back, and on: what completed the second one completes the third.
    const third = await copy(copyAll, source);
    expect(own(third.made)).toEqual([]);
    await isAsAnew(copyAll, source, third);
  },
);

reusing("--no-cache copies everything, and what it copied is not copied again", async () => {
  await copy(copyAll, source);
  const anew = await copy(copyAll, source, { ignoreCache: true });
  expect(own(anew.made)).toHaveLength(120);
  expect(own((await copy(copyAll, source)).made)).toEqual([]);
});

reusing("when much is different everything is copied, once", async () => {
  await copy(copyAll, source, { ignoreCache: true });
  const changed = await steps.tree((root) => {
    for (let number = 0; number < 40; number++) writeFileSync(join(root, `src/a/f${number}`), "other");
  }, source);
  const second = await copy(copyAll, changed);
  expect(own(second.made)).toHaveLength(40);
  expect(own((await copy(copyAll, changed)).made)).toHaveLength(120);
  const last = await copy(copyAll, changed);
  expect(own(last.made)).toEqual([]);
  await isAsAnew(copyAll, changed, last);
});

reusing(
  "another base of the image, which has what was removed: the step is done without the earlier copy",
  async () => {
    const into = copyOp(["src"], "/app/");
    const first = await copy(into, source);
    const less = await steps.tree((root) => rmSync(join(root, "src/a"), { recursive: true }), source);
    // Where the image had the directory nothing of it may be hidden.
    const image = await steps.tree((root) => {
      mkdirSync(join(root, "app/a"), { recursive: true });
      writeFileSync(join(root, "app/a/f1"), "of the image");
    });
    const step = stepOf(into, [image, less]);
    const made = await runner.run(step);
    expect(steps.look(made, (root) => readFileSync(join(root, "app/a/f1"), "utf8"))).toBe("of the image");
    expect(steps.look(made, (root) => readdirSync(join(root, "app/a")))).toEqual(["f1"]);
    expect(steps.snapshotter.layout(made)).not.toHaveProperty("base");
    expect(own(first.made)).toHaveLength(120);
  },
);

reusing("several sources, or other actions, are copied each time", async () => {
  const both = await steps.tree((root) => {
    mkdirSync(join(root, "more/a"), { recursive: true });
    writeFileSync(join(root, "more/a/f1"), "of more\n");
  }, source);
  const pattern = copyOp(["src", "mor*"], "/app/new/", { wildcard: true });
  const write = { kind: "write", path: "/app/new/a/f1", mode: 0o644, owner: undefined } as const;
  const written: FileOp = { ...copyAll, actions: [...copyAll.actions, { ...write, content: "written\n" }] };
  for (const op of [pattern, written]) {
    await copy(op, both);
    const without = await steps.tree((root) => rmSync(join(root, "more"), { recursive: true }), both);
    const again = await copy(op, without);
    expect(steps.snapshotter.layout(again.made)).not.toHaveProperty("base");
    const text = steps.look(again.made, (root) => readFileSync(join(root, "app/new/a/f1"), "utf8"));
    expect(text).toBe(op === written ? "written\n" : "a 1\n");
  }
});

reusing("few files are left out when they are large, in a directory that is made for them too", async () => {
  const large = await steps.tree((root) => {
    mkdirSync(join(root, "few"));
    writeFileSync(join(root, "few/large"), Buffer.alloc(1 << 20, 1));
    writeFileSync(join(root, "few/small"), "1");
  });
  await copy(copyOp(["few"], "/made/here"), large);
  const changed = await steps.tree((root) => writeFileSync(join(root, "few/small"), "2"), large);
  const again = await copy(copyOp(["few"], "/made/here"), changed);
  expect(own(again.made)).toEqual(["made/here/small"]);
  expect(steps.look(again.made, (root) => readFileSync(join(root, "made/here/small"), "utf8"))).toBe("2");
});

reusing("another owner, mode or time makes other copies", async () => {
  for (const name of readdirSync(notes)) rmSync(join(notes, name));
  await copy(copyAll, source);
  const [note = ""] = readdirSync(notes);
  const text = readFileSync(join(notes, note), "utf8");
  for (const op of [
    copyOp(["src"], "/app/new/", { owner: { user: "5", group: "6" } }),
    copyOp(["src"], "/app/new/", { chmod: "0640" }),
    { ...copyAll, epoch: 1_400_000_000 },
  ]) {
    const anew = await copy(op, source);
    // Even if one took the other's for its own.
    for (const other of readdirSync(notes)) writeFileSync(join(notes, other), text);
    const made = await copy(op, source);
    expect(own(made.made)).toHaveLength(120);
    expect(everything(made.made)).toEqual(everything(anew.made));
  }
});

reusing(
  "when the earlier copy is gone, or what is known of it is damaged, everything is copied",
  async () => {
    const first = await copy(copyAll, source, { ignoreCache: true });
    await steps.snapshotter.remove(first.made);
    const second = await copy(copyAll, source);
    expect(own(second.made)).toHaveLength(120);
    for (const text of ["", "x", "\n", "x\n{", "x\nnull", "x\n[7]", "../../etc\n[]"]) {
      for (const name of readdirSync(notes)) writeFileSync(join(notes, name), text);
      const made = await copy(copyAll, source);
      expect(own(made.made)).toHaveLength(120);
    }
  },
);

reusing(
  "the earlier copy's files stay for those that they complete, and go with the last of them",
  async () => {
    const { snapshotter } = steps;
    const directories = () => readdirSync(snapshotter.root).length;
    const first = await copy(copyAll, source, { ignoreCache: true });
    const alone = await snapshotter.usage(first.made);
    const before = directories();
    const second = await copy(copyAll, source);
    const third = await copy(copyAll, source);
    const little = await snapshotter.usage(second.made);
    expect(alone.bytes - little.bytes).toBe(120 * 4096);
    expect(await snapshotter.reclaimable(first.made)).toBe(0);
    await snapshotter.remove(first.made);
    expect(directories()).toBe(before + 2);
    // They count with the first that they are kept for.
    const [two, three] = [await snapshotter.usage(second.made), await snapshotter.usage(third.made)];
    expect([two.bytes, three.bytes]).toEqual([little.bytes + alone.bytes, little.bytes]);
    expect(await snapshotter.reclaimable(second.made)).toBe(little.bytes);
    await isAsAnew(copyAll, source, second);
    await snapshotter.remove(second.made);
    expect(await snapshotter.reclaimable(third.made)).toBe(little.bytes + alone.bytes);
    await isAsAnew(copyAll, source, third);
    const left = directories();
    await snapshotter.remove(third.made);
    expect(directories()).toBe(left - 2);
  },
);

reusing("what is built upon a completed copy sees all of it, whatever is made of it", async () => {
  await copy(copyAll, source, { ignoreCache: true });
  const changed = await steps.tree((root) => writeFileSync(join(root, "src/a/f0"), "new"), source);
  const second = await copy(copyAll, changed);
  expect(steps.snapshotter.layout(second.made)).toHaveProperty("base");
  const above = await steps.tree((root) => {
    rmSync(join(root, "app/new/a/f1"));
    writeFileSync(join(root, "app/new/a/f2"), "above");
  }, second.made);
  const changes = listChanges(steps.snapshotter.layout(above)).map(({ kind, path }) => `${kind} ${path}`);
  expect(changes.filter((line) => line.includes("/f"))).toEqual([
    "deleted /app/new/a/f1",
    "changed /app/new/a/f2",
  ]);
  steps.look(above, (root) => {
    expect(readdirSync(join(root, "app/new/a"))).toHaveLength(40);
    expect(readFileSync(join(root, "app/new/a/f0"), "utf8")).toBe("new");
    expect(readFileSync(join(root, "app/new/a/f3"), "utf8")).toBe("a 3\n");
  });
  await steps.snapshotter.completed(second.made);
});

reusing("files with several names keep them, and come to have one when the source does", async () => {
  const names = (made: ChainId) =>
    steps.look(made, (root) =>
      ["f1", "g1", "h1"].map((name) => {
        const stat = lstatSync(join(root, "all/a", name), { throwIfNoEntry: false });
        return stat && [stat.nlink, stat.ino === lstatSync(join(root, "all/a/f1")).ino];
      }),
    );
  const copied = async (from: ChainId) => {
    const one = await copy(fixed, from);
    expect(digestLayer(steps.snapshotter.layout(one.made))).toEqual(
      digestLayer(steps.snapshotter.layout((await copyAnew(fixed, from)).made)),
    );
    return one.made;
  };
  const two = await steps.tree((root) => linkSync(join(root, "src/a/f1"), join(root, "src/a/g1")), source);
  await copy(fixed, two, { ignoreCache: true });
  expect(names(await copied(two))).toEqual([[2, true], [2, true], undefined]);
  // Something else changes.
  const more = await steps.tree((root) => writeFileSync(join(root, "src/a/h1"), "new"), two);
  expect(names(await copied(more))).toEqual([
    [2, true],
    [2, true],
    [1, false],
  ]);
  const apart = await steps.tree((root) => rmSync(join(root, "src/a/g1")), more);
  expect(names(await copied(apart))).toEqual([[1, true], undefined, [1, false]]);
});

reusing("a tree that is deeper than descriptors suffice for completes none", async () => {
  const deep = await steps.tree(
    (root) => mkdirSync(join(root, "src", "d/".repeat(70)), { recursive: true }),
    source,
  );
  await copy(copyAll, deep, { ignoreCache: true });
  expect(own((await copy(copyAll, deep)).made)).toHaveLength(120);
});

test("a directory that an old kernel made opaque shows what completes it", async () => {
  const at = mkdtempSync(join(steps.root, "opaque-"));
  for (const path of ["earlier/dir", "own/dir", "root"]) mkdirSync(join(at, path), { recursive: true });
  writeFileSync(join(at, "earlier/dir/file"), "text");
  writeFileSync(join(at, "earlier/dir/gone"), "text");
  const [tree, own, root] = ["earlier", "own", "root"].map((name) => RootedDir.open(join(at, name)));
  if (!tree || !own || !root) throw new Error("not opened");
  const mark = (dir: RootedDir) => dir.setXattr("/dir", "trusted.overlay.opaque", Buffer.from("y"));
  mark(own);
  const look = { mode: 0o644, uid: 0, gid: 0, mtime: 0n };
  const source = { ...tree.lstat("/dir/file"), btime: 1n };
  const files = new Map([["dir/file", { state: sameness(source, look) }]]);
  const copy = new EarlierCopy({ copied: { tree: "earlier", files }, tree });
  expect(copy.has("dir/file", source, look, { told: false })).toBeDefined();
  expect(copy.finish(own, root)).toBe("completed");
  expect(own.listXattrs("/dir")).toEqual([]);
  expect(lstatSync(join(at, "own/dir/gone")).isCharacterDevice()).toBe(true);
  // One that has the mark could hide what another root has; a copy that may complete others is made without.
  mark(tree);
  const onMarked = new EarlierCopy({ copied: { tree: "earlier", files }, tree });
  expect(onMarked.has("dir/file", source, look, { told: false })).toBeDefined();
  expect(onMarked.finish(own, root)).toBe("unfit");
  mark(own);
  const whole = new EarlierCopy();
  whole.copied("dir/file", { ...source, size: 1 << 20 }, look);
  expect(whole.finish(own, root)).toBe("alone");
  expect(own.listXattrs("/dir")).toEqual([]);
  for (const dir of [tree, own, root]) dir[Symbol.dispose]();
});

test("an earlier tree that a prune takes away meanwhile completes nothing", () => {
  const at = mkdtempSync(join(steps.root, "pruned-"));
  for (const path of ["earlier", "own/dir", "root"]) mkdirSync(join(at, path), { recursive: true });
  writeFileSync(join(at, "earlier/file"), "text");
  const [tree, own, root] = ["earlier", "own", "root"].map((name) => RootedDir.open(join(at, name)));
  if (!tree || !own || !root) throw new Error("not opened");
  const look = { mode: 0o644, uid: 0, gid: 0, mtime: 0n };
  const source = { ...tree.lstat("/file"), btime: 1n };
  const files = new Map([["file", { state: sameness(source, look) }]]);
  const copy = new EarlierCopy({ copied: { tree: "earlier", files }, tree });
  expect(copy.has("file", source, look, { told: false })).toBeDefined();
  rmSync(join(at, "earlier"), { recursive: true });
  expect(copy.finish(own, root)).toBe("unfit");
  for (const dir of [tree, own, root]) dir[Symbol.dispose]();
});

reusing("notes of trees that are gone go, and what killed writers left", async () => {
  const { made } = await copy(copyAll, source, { ignoreCache: true });
  const before = readdirSync(notes);
  writeFileSync(join(notes, "abc"), "cut short");
  writeFileSync(join(notes, "abc.123"), "");
  // As one is that a step takes away while they are looked at.
  symlinkSync("nowhere", join(notes, "vanished"));
  const where = { directory: notes, trees: steps.snapshotter.root };
  pruneNotes(where, { idle: false });
  expect(readdirSync(notes)).toContain("abc.123");
  for (const name of ["abc", "vanished"]) expect(readdirSync(notes)).not.toContain(name);
  pruneNotes(where, { idle: true });
  const kept = readdirSync(notes);
  expect(before).toEqual(expect.arrayContaining(kept));
  await steps.snapshotter.remove(made);
  pruneNotes(where, { idle: false });
  expect(readdirSync(notes).length).toBe(kept.length - 1);
});
