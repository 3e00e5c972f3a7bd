import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../base/lib/clock.ts";
import { messageOf } from "../../../base/lib/errors.ts";
import { silentLog } from "../../../base/lib/log.ts";
import { S_IFBLK, S_IFDIR, S_IFLNK, S_IFREG } from "../../../base/sys/at.ts";
import { RootedDir } from "../../../base/sys/rooted-dir.ts";
import type { LocalSource } from "../../graph.ts";
import type { BuildSession, ContextEntry, ContextFiles } from "../../session.ts";
import { SnapshotContentKeys } from "../file/content-keys.ts";
import { FileRunner } from "../file/file-runner.ts";
import { DirectoryFiles } from "../testdata/directory-files.ts";
import { copyOp, sessionOf, stepOf, TestSteps } from "../testdata/steps.ts";
import { withKeptTrees } from "./kept-snapshots.ts";
import { KeptTrees } from "./kept-trees.ts";
import { LocalRunner } from "./local.ts";

// Each step is a process of its own.
setDefaultTimeout(60_000);

const op: LocalSource = { kind: "local", name: "context", session: "s", exclude: [], include: [] };
const never = new AbortController().signal;
let steps: TestSteps;
let context = "";
let root = "";
let trees: KeptTrees;
let runner: LocalRunner;
let files: DirectoryFiles;

beforeAll(async () => {
  steps = await TestSteps.open();
});
afterAll(() => steps[Symbol.asyncDispose]());

beforeEach(async () => {
  context = mkdtempSync(join(steps.root, "context-"));
  root = mkdtempSync(join(steps.root, "trees-"));
  mkdirSync(join(context, "src/deep"), { recursive: true });
  writeFileSync(join(context, "Dockerfile"), "FROM scratch");
  writeFileSync(join(context, "src/a"), "aaaa");
  writeFileSync(join(context, "src/deep/b"), "bbbb");
  writeFileSync(join(context, "src/empty"), "");
  // What is written later is younger, however coarse the file system's clock is.
  for (const name of ["Dockerfile", "src/a", "src/deep/b"])
    utimesSync(join(context, name), 1000, 1_000_000_000);
  symlinkSync("a", join(context, "src/link"));
  chmodSync(join(context, "src/a"), 0o755);
  files = new DirectoryFiles(context);
  await reopen();
});

async function reopen(bootId = "boot"): Promise<void> {
  trees = await KeptTrees.open({ root, clock: systemClock, log: silentLog, bootId });
  runner = new LocalRunner({ trees });
}

/** A build of its own: what it holds, it holds until it is ended. */
function build(parts: Partial<BuildSession> = {}) {
  const stop = new AbortController();
  const session = sessionOf({ sharedKey: "here", files, signal: stop.signal, ...parts });
  return { step: stepOf(op, [], { session }), end: () => stop.abort(new Error("over")) };
}

async function received<R>(look: (path: string, name: string) => R): Promise<R> {
  const { step, end } = build();
  const name = await runner.snapshot(step);
  try {
    return look(trees.path(name), name);
  } finally {
    runner.release(name);
    end();
  }
}

test("what came is what the client has, and only what changed is sent again", async () => {
  await received((path) => {
    expect(readdirSync(join(path, "src")).sort()).toEqual(["a", "deep", "empty", "link"]);
    expect(readFileSync(join(path, "src/deep/b"), "utf8")).toBe("bbbb");
    expect(readlinkSync(join(path, "src/link"))).toBe("a");
    const [mine, theirs] = [path, context].map((one) => statSync(join(one, "src/a"), { bigint: true }));
    expect([mine?.mode, mine?.mtimeNs]).toEqual([theirs?.mode, theirs?.mtimeNs]);
    expect(statSync(join(path, "src"), { bigint: true }).mtimeNs).toBe(
      statSync(join(context, "src"), { bigint: true }).mtimeNs,
    );
  });
  expect(files.sent.splice(0).sort()).toEqual(["Dockerfile", "src/a", "src/deep/b", "src/empty"]);
  const same = await received((_path, name) => name);
  expect(files.sent).toEqual([]);
  await reopen();
  writeFileSync(join(context, "src/a"), "cccc");
  rmSync(join(context, "src/deep"), { recursive: true });
  writeFileSync(join(context, "src/deep"), "a file now");
  rmSync(join(context, "src/link"));
  symlinkSync("deep", join(context, "src/link"));
  await received((path, name) => {
    expect(name).not.toBe(same);
    expect(readdirSync(join(path, "src")).sort()).toEqual(["a", "deep", "empty", "link"]);
    expect(readFileSync(join(path, "src/a"), "utf8")).toBe("cccc");
    expect(readFileSync(join(path, "src/deep"), "utf8")).toBe("a file now");
    expect(readlinkSync(join(path, "src/link"))).toBe("deep");
  });
  expect(files.sent.sort()).toEqual(["src/a", "src/deep"]);
});

test("the key is that of names, modes and contents, and not of times", async () => {
  const key = async () => {
    const { step, end } = build();
    const made = await runner.key(step);
    end();
    return made;
  };
  const first = await key();
  utimesSync(join(context, "src/a"), 5, 5);
  expect(await key()).toBe(first);
  chmodSync(join(context, "src/a"), 0o700);
  const second = await key();
  expect(second).not.toBe(first);
  writeFileSync(join(context, "src/deep/b"), "BBBB");
  expect(await key()).not.toBe(second);
});

test("a tree that a build reads stays as it is while another build sends a newer one", async () => {
  const first = build();
  const old = await runner.snapshot(first.step);
  writeFileSync(join(context, "src/a"), "newer");
  const second = build();
  const young = await runner.snapshot(second.step);
  expect(readFileSync(join(trees.path(old), "src/a"), "utf8")).toBe("aaaa");
  expect(readFileSync(join(trees.path(young), "src/a"), "utf8")).toBe("newer");
  // What did not change is there once.
  const [a, b] = [old, young].map((name) => statSync(join(trees.path(name), "src/deep/b")).ino);
  expect(a).toBe(b as number);
  const third = build();
  expect(await runner.snapshot(third.step)).toBe(young);
  expect(trees.list().length).toBe(2);
  for (const one of [old, young, young]) runner.release(one);
  expect(() => trees.path(old)).not.toThrow();
  for (const one of [first, second, third]) one.end();
  // Letting go is told to promises.
  await new Promise((resolve) => setImmediate(resolve));
  expect(trees.list().map((tree) => tree.inUse)).toEqual([false]);
});

test("trees of what different Dockerfiles leave out share their files, and only so many are kept", async () => {
  const inodes = new Set<number>();
  for (let i = 0; i < 7; i++) {
    const stop = new AbortController();
    const session = sessionOf({ sharedKey: "here", files, signal: stop.signal });
    const name = await runner.snapshot(stepOf({ ...op, exclude: [`other${i}`] }, [], { session }));
    inodes.add(statSync(join(trees.path(name), "src/a")).ino);
    runner.release(name);
    stop.abort();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect([inodes.size, trees.list().length, files.sent.length]).toEqual([1, 4, 4]);
});

test("a transfer that breaks off changes nothing, and a change that was cut short is not taken for a tree", async () => {
  await received(() => undefined);
  writeFileSync(join(context, "src/a"), "half");
  const broken: ContextFiles = {
    receive: async (request) => {
      const told = { ...request.into };
      await files.receive({
        ...request,
        into: {
          ...told,
          entry: (entry) => request.into.entry(entry),
          content: async (path, bytes) => {
            await request.into.content(path, bytes, false);
            throw new Error("the client is gone");
          },
          finish: () => request.into.finish(),
        },
      });
    },
  };
  const gone = build({ files: broken });
  expect(await runner.snapshot(gone.step).catch(messageOf)).toBe("the client is gone");
  await received((path) => expect(readFileSync(join(path, "src/a"), "utf8")).toBe("half"));
  expect(readdirSync(root).length).toBe(1);
  // As a daemon that was killed in the middle of a change leaves it.
  const [slot = ""] = readdirSync(root);
  rmSync(join(root, slot, "slot.json"));
  mkdirSync(join(root, "incoming-1"));
  await reopen();
  expect([trees.list(), readdirSync(root)]).toEqual([[], []]);
  await received((path) => expect(readFileSync(join(path, "src/a"), "utf8")).toBe("half"));
  // Trees are not synced: those of another boot are not trusted.
  await reopen("another boot");
  expect(trees.list()).toEqual([]);
});

test("copies from a context are keyed by what they read, and made from it", async () => {
  const snapshots = withKeptTrees({ snapshots: steps.snapshots, trees, helper: steps.helper });
  const keys = new SnapshotContentKeys({ ...steps, snapshots, trees, root: join(root, "../digests") });
  const first = build();
  const name = await runner.snapshot(first.step);
  const select = (sources: string[]) => ({ sources, wildcard: true, exclude: ["empty"], parents: false });
  const digests = async (tree: typeof name) =>
    await Promise.all(
      [["src"], ["src/d*"], ["Dockerfile"], ["nope"]].map((one) => keys.digest(tree, select(one), never)),
    );
  const before = await digests(name);
  expect(new Set(before).size).toBe(4);
  const made = await new FileRunner({ ...steps, snapshots }).run(
    stepOf(copyOp(["src"], "/x"), [undefined, name]),
  );
  steps.look(made, (dir) =>
    expect(readdirSync(join(dir, "x")).sort()).toEqual(["a", "deep", "empty", "link"]),
  );
  // The same content in a snapshot of the store has the same key.
  const copy = await snapshots.make(name, async () => undefined);
  expect(await digests(copy)).toEqual(before);
  expect(await digests(copy)).toEqual(before);
  writeFileSync(join(context, "src/deep/b"), "other");
  const second = build();
  const after = await digests(await runner.snapshot(second.step));
  expect(after.map((digest, index) => digest === before[index])).toEqual([false, false, true, true]);
});

test("what a step writes to a context goes with the step, and so does a step's root that begins as one and fails", async () => {
  const snapshots = withKeptTrees({ snapshots: steps.snapshots, trees, helper: steps.helper });
  const names = () => [...steps.snapshotter.list()].map(({ name }) => name);
  const before = names();
  const { step, end } = build();
  const name = await runner.snapshot(step);
  {
    await using scratch = await snapshots.scratch(name);
    steps.mounted(scratch.mounts, (dir) => writeFileSync(join(dir, "src/a"), "written"));
  }
  expect(names()).toEqual(before);
  const failing = snapshots.make(name, async () => {
    throw new Error("the step failed");
  });
  await expect(failing).rejects.toThrow("the step failed");
  expect(names()).toEqual(before);
  const cancelled = AbortSignal.abort(new Error("cancelled"));
  await expect(snapshots.scratch(name, cancelled)).rejects.toThrow("cancelled");
  await expect(snapshots.make(name, async () => undefined, cancelled)).rejects.toThrow("cancelled");
  expect(names()).toEqual(before);
  const made = await snapshots.make(name, async () => undefined);
  expect(names().length).toBe(before.length + 2);
  await snapshots.discard(made);
  expect(names()).toEqual(before);
  expect(readFileSync(join(trees.path(name), "src/a"), "utf8")).toBe("aaaa");
  runner.release(name);
  end();
});

const plain: ContextEntry = {
  path: "f",
  mode: S_IFREG | 0o644,
  uid: 0,
  gid: 0,
  size: 1,
  mtime: 1n,
  linkname: "",
  devmajor: 0,
  devminor: 0,
  xattrs: {},
};
const directory = { ...plain, path: "d", mode: S_IFDIR | 0o755, size: 0 };

test("an attribute that a directory has no more is not kept", async () => {
  const keysWith = async (xattrs: ContextEntry["xattrs"]) => {
    const { step, end } = build({
      files: {
        receive: async ({ into }) => {
          into.entry({ ...directory, xattrs });
          await into.finish();
        },
      },
    });
    const name = await runner.snapshot(step);
    using tree = RootedDir.open(trees.path(name));
    const keys = tree.listXattrs("d").filter((key) => key.startsWith("user."));
    runner.release(name);
    end();
    return keys;
  };
  const value = Buffer.from("1");
  expect(await keysWith({ "user.a": value, "user.b": value })).toEqual(["user.a", "user.b"]);
  expect(await keysWith({ "user.b": value })).toEqual(["user.b"]);
});

test("a sender that wants to leave its directory, or does not keep to the order, is refused", async () => {
  const hostile: readonly (readonly [string, readonly Partial<ContextEntry>[]])[] = [
    ["no clean path", [{ path: "../f" }]],
    ["no clean path", [{ path: "/etc/f" }]],
    ["no clean path", [{ path: "a//b" }]],
    ["no clean path", [{ path: "x\0y" }]],
    ["no clean path", [{ path: "." }]],
    ["no clean path", [{ path: "n".repeat(5000) }]],
    [
      "outside of a directory",
      [{ path: "l", mode: S_IFLNK | 0o777, linkname: "/etc" }, { path: "l/passwd" }],
    ],
    ["outside of a directory", [{ path: "d/f" }]],
    ["outside of a directory", [{ path: "f" }, { path: "f/g" }]],
    ["twice", [{ path: "f" }, { path: "f" }]],
    ["is a device", [{ path: "sda", mode: S_IFBLK | 0o666, devmajor: 8 }]],
    ["hard link", [{ path: "h", linkname: "etc/shadow" }]],
    ["no clean path", [{ path: "h", linkname: "../../etc/shadow" }]],
    ["attribute", [{ path: "f", xattrs: { "user.overlay.opaque": Buffer.from("y") } }]],
    ["bytes", [{ path: "f", size: -1 }]],
    ["before the content", [{ path: "f" }]],
  ];
  for (const [why, entries] of hostile) {
    const sender: ContextFiles = {
      receive: async ({ into }) => {
        for (const entry of entries) into.entry({ ...plain, ...entry });
        await into.finish();
      },
    };
    expect(await runner.snapshot(build({ files: sender }).step).catch(messageOf)).toContain(why);
  }
  const unasked: ContextFiles = {
    receive: async ({ into }) => {
      into.entry(directory);
      await into.content("d/../../x", Buffer.from("x"), true);
    },
  };
  expect(await runner.snapshot(build({ files: unasked }).step).catch(messageOf)).toContain(
    "nobody asked for",
  );
  expect(readdirSync(root)).toEqual([]);
});
