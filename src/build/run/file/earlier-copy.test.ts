import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
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
import type { ChainId } from "../../../base/lib/ids.ts";
import { AT_FDCWD } from "../../../base/sys/at.ts";
import { lstatat } from "../../../base/sys/stat.ts";
import type { FileOp } from "../../graph.ts";
import { copyOp, stepOf, TestSteps } from "../testdata/steps.ts";
import { pruneNotes } from "./copy-notes.ts";
import { FileRunner } from "./file-runner.ts";

// Each step is a process of its own.
setDefaultTimeout(60_000);

const tellsBirth = lstatat(AT_FDCWD, tmpdir()).btime !== 0n;
if (!tellsBirth) console.log(`skipped: the file system of ${tmpdir()} does not tell when files were made`);
const linking = test.skipIf(!tellsBirth);

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

async function copy(op: FileOp, from: ChainId, options: { readonly ignoreCache?: boolean } = {}) {
  const step = stepOf(op, [base, from]);
  let digests: readonly string[] = [];
  const made = await runner.run({
    ...step,
    vertex: { ...step.vertex, ...options },
    onCopied: (told) => {
      digests = told;
    },
  });
  const upper = steps.snapshotter.upperdir(made) ?? "";
  return { made, upper, digests };
}

/** Everything below a directory but inodes: names, kinds, modes, owners, times, contents. */
function everything(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .sort()
    .map((path) => {
      const { mode, uid, gid, mtimeMs, size } = lstatSync(join(root, path));
      const text = lstatSync(join(root, path)).isFile() ? readFileSync(join(root, path), "utf8") : "";
      // A directory that was there before the copy is as old as its last entry.
      return [path, mode, uid, gid, path.startsWith("app/new/") ? mtimeMs : "", text, text && size].join(" ");
    });
}

/** What a runner makes that knows of no earlier copy. */
async function copyAnew(op: FileOp, from: ChainId) {
  const { helper, snapshots, scratch } = steps;
  const step = stepOf(op, [base, from]);
  let digests: readonly string[] = [];
  const onCopied = (told: readonly string[]) => {
    digests = told;
  };
  const made = await new FileRunner({ helper, snapshots, scratch }).run({ ...step, onCopied });
  return { upper: steps.snapshotter.upperdir(made) ?? "", digests };
}

/** Paths of files of which two copies are one. */
function oneIn(first: string, second: string): readonly string[] {
  return readdirSync(second, { recursive: true, encoding: "utf8" })
    .filter((path) => {
      const [before, now] = [first, second].map((root) =>
        lstatSync(join(root, path), { throwIfNoEntry: false }),
      );
      return now?.isFile() && before?.ino === now.ino;
    })
    .sort();
}

linking(
  "what did not change since the step's last run is another name of the earlier copy, all else is copied",
  async () => {
    const first = await copy(copyAll, source);
    const changed = await steps.tree((root) => {
      // As large and as old as it was.
      writeFileSync(join(root, "src/a/f0"), "a 9\n");
      utimesSync(join(root, "src/a/f0"), 1000, 1_000_000_000);
      chmodSync(join(root, "src/a/f2"), 0o600);
      utimesSync(join(root, "src/a/f3"), 1000, 1_234_567_890);
      rmSync(join(root, "src/a/f4"));
      rmSync(join(root, "src/a/f5"));
      mkdirSync(join(root, "src/a/f5"));
      renameSync(join(root, "src/b/f8"), join(root, "src/b/f9"));
      chmodSync(join(root, "src/b"), 0o700);
    }, source);
    const second = await copy(copyAll, changed);
    const anew = await copyAnew(copyAll, changed);
    expect(everything(second.upper)).toEqual(everything(anew.upper));
    expect(second.digests).toEqual(anew.digests);
    const linked = oneIn(first.upper, second.upper);
    const names = (part: string) => linked.filter((path) => path.startsWith(`app/new/${part}/`)).length;
    // Of a: f0, f2, f3, f4, f5 are other ones; of b: f8 and f9, and f7 runs as its owner.
    expect([names("a"), names("b")]).toEqual([35, 37]);
    expect(linked).not.toContain("app/new/b/f7");
    // What was copied first is as it was.
    expect(readFileSync(join(first.upper, "app/new/a/f0"), "utf8")).toBe("a 0\n");

    const third = await copy(copyAll, changed);
    expect(oneIn(second.upper, third.upper)).toHaveLength(38 + 38 + 40);
  },
);

linking("below /etc and /var nothing has two names", async () => {
  const toRoot = copyOp(["src"], "/");
  const [first, second] = [await copy(toRoot, source), await copy(toRoot, source)];
  const linked = oneIn(first.upper, second.upper);
  expect(linked.filter((path) => path.startsWith("etc/"))).toEqual([]);
  expect(linked).toHaveLength(79);
});

linking("of two sources of one file the last one counts, the next time too", async () => {
  const both = await steps.tree((root) => {
    mkdirSync(join(root, "more/a"), { recursive: true });
    writeFileSync(join(root, "more/a/f1"), "of more\n");
  }, source);
  const pattern = copyOp(["src", "mor*"], "/app/new/", { wildcard: true });
  const first = await copy(pattern, both);
  expect(readFileSync(join(first.upper, "app/new/a/f1"), "utf8")).toBe("of more\n");
  const without = await steps.tree((root) => rmSync(join(root, "more"), { recursive: true }), both);
  const second = await copy(pattern, without);
  expect(everything(second.upper)).toEqual(everything((await copyAnew(pattern, without)).upper));
  expect(oneIn(first.upper, second.upper)).toHaveLength(118);
});

linking("other actions of the step: what they make is no copy", async () => {
  const write = { kind: "write", path: "/app/new/a/f1", mode: 0o644, owner: undefined } as const;
  const op: FileOp = { ...copyAll, actions: [...copyAll.actions, { ...write, content: "written\n" }] };
  const first = await copy(op, source);
  const second = await copy(op, source);
  expect(readFileSync(join(second.upper, "app/new/a/f1"), "utf8")).toBe("written\n");
  expect(oneIn(first.upper, second.upper)).toEqual([]);
});

linking("a copy on nothing is linked as well", async () => {
  const nothing = (made: ChainId) => steps.snapshotter.upperdir(made) ?? "";
  const [first, second] = [
    await runner.run(stepOf(copyAll, [undefined, source])),
    await runner.run(stepOf(copyAll, [undefined, source])),
  ];
  expect(oneIn(nothing(first), nothing(second))).toHaveLength(119);
});

linking("few files are linked when they are large, in a directory that is made for them too", async () => {
  const large = await steps.tree((root) => {
    mkdirSync(join(root, "few"));
    writeFileSync(join(root, "few/large"), Buffer.alloc(1 << 20, 1));
    writeFileSync(join(root, "few/small"), "1");
  });
  const few = await copy(copyOp(["few"], "/made/here"), large);
  const changed = await steps.tree((root) => writeFileSync(join(root, "few/small"), "2"), large);
  const again = await copy(copyOp(["few"], "/made/here"), changed);
  expect(oneIn(few.upper, again.upper)).toEqual(["made/here/large"]);
  expect(readFileSync(join(again.upper, "made/here/small"), "utf8")).toBe("2");
});

linking("notes of trees that are gone go, and what killed writers left", async () => {
  const { made } = await copy(copyAll, source);
  const before = readdirSync(notes);
  writeFileSync(join(notes, "abc"), "cut short");
  writeFileSync(join(notes, "abc.123"), "");
  const where = { directory: notes, trees: steps.snapshotter.root };
  pruneNotes(where, { idle: false });
  expect(readdirSync(notes).sort()).toEqual([...before, "abc.123"].sort());
  pruneNotes(where, { idle: true });
  expect(readdirSync(notes).sort()).toEqual(before.sort());
  await steps.snapshotter.remove(made);
  pruneNotes(where, { idle: false });
  expect(readdirSync(notes).length).toBe(before.length - 1);
});

linking("--no-cache copies everything, and what it copied is linked the next time", async () => {
  const first = await copy(copyAll, source);
  const anew = await copy(copyAll, source, { ignoreCache: true });
  expect(oneIn(first.upper, anew.upper)).toEqual([]);
  const next = await copy(copyAll, source);
  expect(oneIn(anew.upper, next.upper)).toHaveLength(119);
});

linking("another owner, mode or time makes other copies", async () => {
  for (const name of readdirSync(notes)) rmSync(join(notes, name));
  const first = await copy(copyAll, source);
  const [note = ""] = readdirSync(notes);
  const text = readFileSync(join(notes, note), "utf8");
  for (const op of [
    copyOp(["src"], "/app/new/", { owner: { user: "5", group: "6" } }),
    copyOp(["src"], "/app/new/", { chmod: "0640" }),
    { ...copyAll, epoch: 1_500_000_000 },
  ]) {
    const anew = await copy(op, source);
    // Even if one took the other's for its own.
    for (const other of readdirSync(notes)) writeFileSync(join(notes, other), text);
    const made = await copy(op, source);
    expect([...oneIn(first.upper, made.upper), ...oneIn(anew.upper, made.upper)]).toEqual([]);
    expect(everything(made.upper)).toEqual(everything(anew.upper));
  }
});

linking(
  "when the earlier copy is gone, or what is known of it is damaged, everything is copied",
  async () => {
    const first = await copy(copyAll, source);
    await steps.snapshotter.remove(first.made);
    const second = await copy(copyAll, source);
    expect(everything(second.upper)).toEqual(everything((await copyAnew(copyAll, source)).upper));
    for (const text of [
      "",
      "x",
      "\n",
      "x\n{",
      "x\nnull",
      "x\n[7]",
      "../../etc\n[]",
      `/etc\n[["hosts",{"state":""}]]`,
    ]) {
      for (const name of readdirSync(notes)) writeFileSync(join(notes, name), text);
      const made = await copy(copyAll, source);
      expect(oneIn(second.upper, made.upper)).toEqual([]);
      expect(everything(made.upper)).toEqual(everything(second.upper));
    }
  },
);

linking("what versions of a copy share counts once, and is given back with the last of them", async () => {
  const { snapshotter } = steps;
  const first = await copy(copyAll, source, { ignoreCache: true });
  const alone = await snapshotter.usage(first.made);
  expect(await snapshotter.reclaimable(first.made)).toBe(alone.bytes);
  const second = await copy(copyAll, source);
  const counted = new Set<bigint>();
  const [one, two] = [
    await snapshotter.usage(first.made, counted),
    await snapshotter.usage(second.made, counted),
  ];
  expect(one).toEqual(alone);
  // A file of 4 KiB each for all but the one that is never linked.
  expect(alone.bytes - two.bytes).toBe(119 * 4096);
  expect(alone.inodes - two.inodes).toBe(119);
  // By itself each is as large as the other.
  expect(await snapshotter.usage(second.made)).toEqual(alone);
  for (const { made } of [first, second])
    expect(await snapshotter.reclaimable(made)).toBe(alone.bytes - 119 * 4096);
  await snapshotter.remove(first.made);
  expect(await snapshotter.reclaimable(second.made)).toBe(alone.bytes);
});
