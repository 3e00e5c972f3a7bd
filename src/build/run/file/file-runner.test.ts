import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../../base/lib/errors.ts";
import type { ChainId } from "../../../base/lib/ids.ts";
import { getXattr, listXattrs, setXattr } from "../../../base/sys/xattr.ts";
import type { CopyAction, FileOp } from "../../graph.ts";
import { copyOp, fileOp, stepOf, TestSteps } from "../testdata/steps.ts";
import { FileRunner } from "./file-runner.ts";

// Each step is a process of its own.
setDefaultTimeout(60_000);

let steps: TestSteps;
let runner: FileRunner;
let base: ChainId;
let source: ChainId;

beforeAll(async () => {
  steps = await TestSteps.open();
  runner = new FileRunner(steps);
  base = await steps.tree((root) => {
    for (const path of ["etc", "app", "app/sub", "real", "usr/bin", "team"])
      mkdirSync(join(root, path), { recursive: true });
    chownSync(join(root, "team"), 0, 777);
    chmodSync(join(root, "team"), 0o2775);
    chmodSync(join(root, "app/sub"), 0o700);
    writeFileSync(join(root, "etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:501:502::/:/bin/sh\n");
    writeFileSync(join(root, "etc/group"), "root:x:0:\nstaff:x:777:\n");
    writeFileSync(join(root, "app/old"), "old");
    symlinkSync("/real", join(root, "link"));
    symlinkSync("/etc/passwd", join(root, "app/file-link"));
    symlinkSync("/made/by/link", join(root, "dangling"));
  });
  source = await steps.tree((root) => {
    mkdirSync(join(root, "dir/sub/deep"), { recursive: true });
    writeFileSync(join(root, "a.txt"), "a");
    writeFileSync(join(root, "b.txt"), "b");
    writeFileSync(join(root, "c.md"), "c");
    writeFileSync(join(root, "dir/one"), "one");
    writeFileSync(join(root, "dir/sub/two"), "two");
    writeFileSync(join(root, "dir/sub/deep/three"), "three");
    chmodSync(join(root, "dir/sub"), 0o2750);
    chownSync(join(root, "dir/sub/two"), 12, 34);
    chmodSync(join(root, "dir/sub/two"), 0o4755);
    linkSync(join(root, "dir/one"), join(root, "dir/twin"));
    symlinkSync("one", join(root, "dir/soft"));
    symlinkSync("dir", join(root, "to-dir"));
    symlinkSync("/a.txt", join(root, "to-file"));
    symlinkSync("/etc/shadow", join(root, "out"));
    symlinkSync("../../../../../../../../etc", join(root, "up"));
    Bun.spawnSync(["mknod", join(root, "dir/pipe"), "p"]);
    Bun.spawnSync(["mknod", join(root, "dir/null"), "c", "1", "3"]);
    utimesSync(join(root, "a.txt"), 1000, 1_000_000_000.5);
    utimesSync(join(root, "dir/sub"), 1000, 1_100_000_000);
  });
});
afterAll(() => steps[Symbol.asyncDispose]());

async function run(op: FileOp, inputs: readonly (ChainId | undefined)[] = [base, source]): Promise<ChainId> {
  return await runner.run(stepOf(op, inputs));
}

async function copied<R>(
  sources: readonly string[],
  dest: string,
  look: (root: string) => R,
  more: Partial<CopyAction> = {},
): Promise<R> {
  return steps.look(await run(copyOp(sources, dest, more)), look);
}

async function refusal(op: FileOp): Promise<string> {
  return await run(op).then(
    () => "it went well",
    (error: unknown) => messageOf(error),
  );
}

test("a directory's contents are copied, and nested directories get the source's metadata", async () => {
  await copied(["dir"], "/app", (root) => {
    expect(readFileSync(join(root, "app/old"), "utf8")).toBe("old");
    expect(readFileSync(join(root, "app/sub/deep/three"), "utf8")).toBe("three");
    const sub = statSync(join(root, "app/sub"));
    expect([sub.mode & 0o7777, sub.mtimeMs]).toEqual([0o2750, 1_100_000_000_000]);
    const two = statSync(join(root, "app/sub/two"));
    expect([two.uid, two.gid, two.mode & 0o7777]).toEqual([12, 34, 0o4755]);
    expect(statSync(join(root, "app/one")).ino).toBe(statSync(join(root, "app/twin")).ino);
    expect(readlinkSync(join(root, "app/soft"))).toBe("one");
    expect(lstatSync(join(root, "app/pipe")).isFIFO()).toBe(true);
    expect(lstatSync(join(root, "app/null")).rdev).toBe(0x103);
    expect(statSync(join(root, "app")).mode & 0o777).toBe(0o755);
  });
  await copied(["dir/sub"], "/made/new", (root) => {
    expect(statSync(join(root, "made/new")).mtimeMs).toBe(1_100_000_000_000);
    expect(statSync(join(root, "made")).mtimeMs).toBeGreaterThan(1_100_000_000_000);
  });
  const look = (root: string) =>
    ["made", "made/new", "made/new/deep"].map((path) => statSync(join(root, path)).mode & 0o777);
  expect(await copied(["dir/sub"], "/made/new/", look, { chmod: "750" })).toEqual([0o755, 0o750, 0o750]);
});

test("directories that are made in a set-group-id one hand it down", async () => {
  await copied(["a.txt"], "/team/by/group/", (root) => {
    for (const path of ["team/by", "team/by/group"]) {
      const { mode, gid } = statSync(join(root, path));
      expect([path, mode & 0o7777, gid]).toEqual([path, 0o2755, 777]);
    }
  });
});

test("files keep their owner in a set-group-id directory, in those that are made in it too", async () => {
  for (const [dest, below] of [
    ["/team/", "team"],
    ["/team/new/", "team/new"],
  ] as const) {
    await copied(["dir"], dest, (root) => {
      for (const path of ["one", "sub", "sub/deep", "sub/deep/three"])
        expect([path, statSync(join(root, below, path)).gid]).toEqual([path, 0]);
      expect(statSync(join(root, below, "sub/two")).gid).toBe(34);
    });
  }
});

test("a file keeps its time to the nanosecond, or gets SOURCE_DATE_EPOCH with the directories made for it", async () => {
  await copied(["a.txt"], "/new/deep/name", (root) => {
    const stat = statSync(join(root, "new/deep/name"), { bigint: true });
    expect(stat.mtimeNs).toBe(1_000_000_000_500_000_000n);
  });
  const op = copyOp(["a.txt", "dir"], "/new/deep/");
  steps.look(await run({ ...op, epoch: 1234 }), (root) => {
    for (const path of ["new", "new/deep", "new/deep/a.txt", "new/deep/sub", "new/deep/sub/deep"])
      expect([path, statSync(join(root, path)).mtimeMs]).toEqual([path, 1_234_000]);
  });
});

test("a file goes into an existing directory, and into a name with a slash that is none yet", async () => {
  await copied(["a.txt"], "/app", (root) => expect(readFileSync(join(root, "app/a.txt"), "utf8")).toBe("a"));
  await copied(["a.txt"], "/x/y/", (root) => expect(readFileSync(join(root, "x/y/a.txt"), "utf8")).toBe("a"));
  await copied(["a.txt"], "/x/y", (root) => expect(readFileSync(join(root, "x/y"), "utf8")).toBe("a"));
});

test("links of the destination are followed inside the root, the last one too", async () => {
  await copied(["a.txt"], "/link/", (root) =>
    expect(readFileSync(join(root, "real/a.txt"), "utf8")).toBe("a"),
  );
  await copied(["a.txt"], "/dangling/", (root) =>
    expect(readFileSync(join(root, "made/by/link/a.txt"), "utf8")).toBe("a"),
  );
  await copied(["a.txt"], "/app/file-link", (root) => {
    expect(readFileSync(join(root, "etc/passwd"), "utf8")).toBe("a");
    expect(lstatSync(join(root, "app/file-link")).isSymbolicLink()).toBe(true);
  });
});

test("a source that is a link is what it leads to, inside the tree only", async () => {
  await copied(["to-file", "to-dir"], "/x/", (root) => {
    expect(readFileSync(join(root, "x/to-file"), "utf8")).toBe("a");
    expect(readFileSync(join(root, "x/sub/two"), "utf8")).toBe("two");
  });
  for (const name of ["out", "up/shadow", "up", "../../../etc/shadow"]) {
    expect(await refusal(copyOp([name], "/x/"))).toContain(": not found");
  }
});

test("what is missing is told as BuildKit tells it; a pattern that matches nothing is nothing", async () => {
  expect(await refusal(copyOp(["nope"], "/x"))).toMatch(
    /^failed to compute cache key: failed to calculate checksum of ref [0-9a-f]{25}::[0-9a-f]{25}: "\/nope": not found$/,
  );
  await copied(["nope*"], "/x/", (root) => expect(existsSync(join(root, "x"))).toBe(false));
});

test("wildcards match component by component, and a matched directory's contents are copied", async () => {
  await copied(["*.txt"], "/x/", (root) =>
    expect(readdirSync(join(root, "x")).sort()).toEqual(["a.txt", "b.txt"]),
  );
  await copied(["d*/s*/t?o"], "/x/", (root) => expect(readdirSync(join(root, "x"))).toEqual(["two"]));
  await copied(["d*"], "/x/", (root) =>
    expect(readFileSync(join(root, "x/sub/deep/three"), "utf8")).toBe("three"),
  );
  expect(await refusal(copyOp(["[a"], "/x/"))).toContain("syntax error in pattern");
});

test("a backslash is a part of a name that is there, else it takes a wildcard its meaning", async () => {
  const source = await steps.tree((root) => {
    for (const name of ["dev-a\\x2db.swap", "[id].js"]) writeFileSync(join(root, name), "");
  });
  const made = await run(copyOp(["dev-a\\x2db.swap", "\\[id].js"], "/new/"), [base, source]);
  steps.look(made, (root) =>
    expect(readdirSync(join(root, "new")).sort()).toEqual(["[id].js", "dev-a\\x2db.swap"]),
  );
});

test("a file does not replace a directory, nor a directory a file", async () => {
  const files = await steps.tree((root) => {
    writeFileSync(join(root, "sub"), "");
    mkdirSync(join(root, "d/old"), { recursive: true });
  });
  const told = await runner.run(stepOf(copyOp(["sub"], "/app/"), [base, files])).catch(messageOf);
  expect(told).toBe("cannot replace to directory /app/sub with file");
  const other = await runner.run(stepOf(copyOp(["d"], "/app/"), [base, files])).catch(messageOf);
  expect(other).toBe("cannot copy to non-directory: /app/old");
  expect(await refusal(copyOp(["dir"], "/app/old"))).toBe("cannot copy to non-directory: /app/old");
  expect(await refusal(copyOp(["a.txt"], "/app/old/x"))).toBe("mkdir /app/old: not a directory");
});

test("--chown looks names up in the root that is written to, and a number is its own group", async () => {
  const owners: readonly (readonly [string, string | undefined, number, number])[] = [
    ["web", undefined, 501, 502],
    ["web", "staff", 501, 777],
    ["33", undefined, 33, 33],
    ["33", "44", 33, 44],
  ];
  for (const [user, group, uid, gid] of owners) {
    await copied(
      ["dir"],
      "/made/x",
      (root) => {
        for (const path of ["made", "made/x", "made/x/sub/two", "made/x/soft"]) {
          const stat = lstatSync(join(root, path));
          expect([path, stat.uid, stat.gid]).toEqual([path, uid, gid]);
        }
      },
      { owner: { user, group } },
    );
  }
  expect(await refusal(copyOp(["a.txt"], "/x", { owner: { user: "nobody-here", group: undefined } }))).toBe(
    "unable to find user nobody-here: no matching entries in passwd file",
  );
  expect(await refusal(copyOp(["a.txt"], "/x", { owner: { user: "1", group: "2:3" } }))).toBe(
    "invalid chown string format: 1:2:3: it is user:group",
  );
});

test("root is 0 where no names are known; other names are told to be numbers there", async () => {
  const source = await steps.tree((root) => writeFileSync(join(root, "f"), ""));
  const onNothing = (user: string, group: string | undefined) =>
    run(copyOp(["f"], "/new/f", { owner: { user, group } }), [undefined, source]);
  for (const group of [undefined, "root", "0"]) {
    steps.look(await onNothing("root", group), (root) => {
      const { uid, gid } = lstatSync(join(root, "new/f"));
      expect([uid, gid]).toEqual([0, 0]);
    });
  }
  const hint = "(onto FROM scratch, and with --link, owners are numbers)";
  expect(await onNothing("web", undefined).catch(messageOf)).toBe(
    `unable to find user web: there is no /etc/passwd ${hint}`,
  );
  expect(await onNothing("1", "web").catch(messageOf)).toBe(
    `unable to find group web: there is no /etc/group ${hint}`,
  );
});

test("--chmod sets octal digits on everything and applies symbols to what is there", async () => {
  const modes = (root: string) =>
    ["x/one", "x/sub", "x/sub/two"].map((path) => (statSync(join(root, path)).mode & 0o7777).toString(8));
  expect(await copied(["dir"], "/x", modes, { chmod: "0640" })).toEqual(["640", "640", "640"]);
  expect(await copied(["dir"], "/x", modes, { chmod: "u=rwX,go=rX" })).toEqual(["644", "2755", "755"]);
  expect(await refusal(copyOp(["a.txt"], "/x", { chmod: "u=q" }))).toContain("invalid chmod parameter");
});

test("--exclude leaves out what matches below the source, and matched names themselves", async () => {
  const all = (root: string) =>
    [...new Bun.Glob("**/*").scanSync({ cwd: join(root, "x"), onlyFiles: false })].sort();
  expect(await copied(["dir"], "/x", all, { exclude: ["sub", "twin", "null", "pipe"] })).toEqual([
    "one",
    "soft",
  ]);
  expect(await copied(["dir"], "/x", all, { exclude: ["**", "!sub/deep"] })).toEqual([
    "sub",
    "sub/deep",
    "sub/deep/three",
  ]);
  expect(await copied(["*.*"], "/x/", all, { exclude: ["*.txt"] })).toEqual(["c.md"]);
});

test("--parents keeps the directories above, from the pivot on", async () => {
  const all = (root: string) =>
    [...new Bun.Glob("**/*").scanSync({ cwd: join(root, "x"), onlyFiles: false })].sort();
  const parents = { parents: true };
  expect(await copied(["dir/sub/two", "a.txt"], "/x/", all, parents)).toEqual([
    "a.txt",
    "dir",
    "dir/sub",
    "dir/sub/two",
  ]);
  expect(await copied(["dir/./sub/two"], "/x/", all, parents)).toEqual(["sub", "sub/two"]);
  expect(await copied(["dir/**/t*"], "/x/", all, parents)).toEqual([
    "dir",
    "dir/sub",
    "dir/sub/deep",
    "dir/sub/deep/three",
    "dir/sub/two",
    "dir/twin",
  ]);
  await copied(
    ["dir/sub/two"],
    "/x/",
    (root) => expect(statSync(join(root, "x/dir/sub")).mode & 0o7777).toBe(0o2750),
    parents,
  );
  expect(await refusal(copyOp(["dir/none"], "/x/", parents))).toContain('"/dir/none": not found');
});

/** CAP_NET_BIND_SERVICE, permitted and effective (VFS_CAP_REVISION_2). */
const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");

test("attributes, capabilities and long holes are copied, overlay's own attributes are not", async () => {
  const special = await steps.tree((root) => {
    writeFileSync(join(root, "f"), "x");
    const fd = openSync(root, "r");
    setXattr(fd, "f", "user.mine", Buffer.from("1"));
    setXattr(fd, "f", "security.capability", capability);
    setXattr(fd, "f", "trusted.overlay.opaque", Buffer.from("y"));
    closeSync(fd);
    expect(Bun.spawnSync(["truncate", "-s", "4G", join(root, "holes")]).exitCode).toBe(0);
  });
  const made = await run(copyOp(["f", "holes"], "/x/"), [base, special]);
  steps.look(made, (root) => {
    const fd = openSync(join(root, "x"), "r");
    expect(listXattrs(fd, "f").sort()).toEqual(["security.capability", "user.mine"]);
    expect(getXattr(fd, "f", "security.capability")).toEqual(capability);
    closeSync(fd);
    const holes = statSync(join(root, "x/holes"));
    expect([holes.size, holes.blocks]).toEqual([4 * 2 ** 30, 0]);
  });
});

test("directories and written files of WORKDIR and heredocs get mode, owner and content", async () => {
  const actions: FileOp["actions"] = [
    { kind: "mkdir", path: "/link/work/dir", mode: 0o755, owner: { user: "web", group: undefined } },
    { kind: "write", path: "/link/work/script", mode: 0o755, owner: undefined, content: "#!/bin/sh\n" },
    { kind: "write", path: "/app/file-link", mode: 0o600, owner: undefined, content: "new" },
  ];
  steps.look(await run(fileOp(actions)), (root) => {
    expect([statSync(join(root, "real/work")).uid, statSync(join(root, "real/work/dir")).gid]).toEqual([
      501, 502,
    ]);
    expect(readFileSync(join(root, "real/work/script"), "utf8")).toBe("#!/bin/sh\n");
    expect(statSync(join(root, "real/work/script")).mode & 0o777).toBe(0o755);
    expect(readFileSync(join(root, "etc/passwd"), "utf8")).toBe("new");
  });
});

test("a WORKDIR that is there starts no helper and makes an empty layer", async () => {
  const idle = new FileRunner({
    ...steps,
    snapshots: steps.snapshots,
    scratch: steps.scratch,
    helper: { run: () => Promise.reject(new Error("a helper was started")) } as never,
  });
  const made = await idle.run(
    stepOf(fileOp([{ kind: "mkdir", path: "/app/sub", mode: 0o755, owner: undefined }]), [base]),
  );
  expect(readdirSync(steps.snapshotter.upperdir(made) ?? "")).toEqual([]);
  steps.look(made, (root) => expect(statSync(join(root, "app/sub")).mode & 0o777).toBe(0o700));
});

test("a step that is cancelled, or fails, leaves no snapshot behind", async () => {
  const before = [...steps.snapshotter.list()].length;
  const stop = new AbortController();
  const running = runner.run(stepOf(copyOp(["dir"], "/x"), [base, source], { signal: stop.signal }));
  stop.abort(new Error("stopped"));
  expect(await running.catch(messageOf)).toBe("stopped");
  expect(await refusal(copyOp(["nope"], "/x"))).toContain("not found");
  expect([...steps.snapshotter.list()].length).toBe(before);
});

test("onto nothing: a copy makes a root of its own", async () => {
  steps.look(await run(copyOp(["a.txt"], "/x/y"), [undefined, source]), (root) => {
    expect(readFileSync(join(root, "x/y"), "utf8")).toBe("a");
    expect(readdirSync(root)).toEqual(["x"]);
  });
});

test("whole trees are copied to and from as well", async () => {
  await using trees = await TestSteps.open("vfs");
  const [root, from] = [
    await trees.tree((dir) => mkdirSync(join(dir, "app/old"), { recursive: true })),
    await trees.tree((dir) => writeFileSync(join(dir, "a"), "a")),
  ];
  const made = await new FileRunner(trees).run(stepOf(copyOp(["a"], "/app/"), [root, from]));
  trees.look(made, (dir) => expect(readdirSync(join(dir, "app")).sort()).toEqual(["a", "old"]));
  trees.look(root, (dir) => expect(readdirSync(join(dir, "app"))).toEqual(["old"]));
  const work = fileOp([{ kind: "mkdir", path: "/app/old", mode: 0o755, owner: undefined }]);
  trees.look(await new FileRunner(trees).run(stepOf(work, [made])), (dir) =>
    expect(readdirSync(join(dir, "app")).sort()).toEqual(["a", "old"]),
  );
});

test("what a copy tells of what it read is what a look without copying tells", async () => {
  const tagged = await steps.tree((root) => {
    const dir = openSync(root, "r");
    setXattr(dir, "a.txt", "user.tag", Buffer.from([1, 0, 255]));
    setXattr(dir, "dir", "user.dir", Buffer.from("d"));
    closeSync(dir);
    Bun.spawnSync(["truncate", "-s", "3M", join(root, "dir/holes")]);
    Bun.spawnSync(["dd", "if=/dev/urandom", `of=${join(root, "dir/large")}`, "bs=300k", "count=1"]);
  }, source);
  const selections: readonly [readonly string[], Partial<CopyAction>][] = [
    [["dir"], {}],
    [["/"], {}],
    [["a.txt", "dir"], { chmod: "0640", owner: { user: "web", group: undefined } }],
    [["*.txt", "no*"], { wildcard: true }],
    [["to-dir", "to-file"], {}],
    [["dir"], { exclude: ["sub/two", "*n*", "!sub/deep"] }],
    [["dir/./sub/deep", "b.txt"], { parents: true }],
    [["./dir/**/t*"], { parents: true, wildcard: true }],
    [["dir/./"], { parents: true }],
  ];
  for (const [sources, more] of selections) {
    for (const dest of ["/app/", "/new/place/"]) {
      const op = copyOp(sources, dest, more);
      let told: readonly string[] = [];
      await runner.run({
        ...stepOf(op, [base, tagged]),
        onCopied: (digests) => {
          told = digests;
        },
      });
      const [selection] = op.actions;
      if (selection?.kind !== "copy") throw new Error("no copy");
      const { scratch, snapshots } = steps;
      const cache = join(mkdtempSync(join(steps.root, "digests-")), "of-tree");
      const tree = snapshots.view(tagged);
      const looked = await steps.helper.run(
        { op: "digest", scratch, tree, selection, cache },
        new AbortController().signal,
      );
      expect([sources, dest, told]).toEqual([sources, dest, [looked.digest ?? "none"]]);
    }
  }
});

test("hard links stay, and names that are copied apart are files of their own, in new directories too", async () => {
  const numbers = (root: string) => (path: string) => lstatSync(join(root, path)).ino;
  const linked = await steps.tree((root) => {
    for (const name of ["x", "y"]) mkdirSync(join(root, "tree", name), { recursive: true });
    writeFileSync(join(root, "tree/x/file"), "text");
    linkSync(join(root, "tree/x/file"), join(root, "tree/y/file"));
    linkSync(join(root, "tree/x/file"), join(root, "tree/top"));
  });
  const copy = await run(copyOp(["tree"], "/app"), [base, linked]);
  steps.look(copy, (root) => {
    const of = numbers(root);
    expect(["app/x/file", "app/y/file"].map(of)).toEqual([of("app/top"), of("app/top")]);
    expect(readFileSync(join(root, "app/y/file"), "utf8")).toBe("text");
  });
  const [first, second] = [copyOp(["tree"], "/one"), copyOp(["tree"], "/two")].map(({ actions }) => actions);
  const twice = await run({ ...copyOp([], "/"), actions: [...(first ?? []), ...(second ?? [])] }, [
    base,
    linked,
  ]);
  steps.look(twice, (root) => {
    const of = numbers(root);
    expect(of("one/x/file")).not.toBe(of("two/x/file"));
    expect(of("two/x/file")).toBe(of("two/y/file"));
  });
});

test("sources are copied one after the other: a later name of a file is never what replaced an earlier one", async () => {
  const linked = await steps.tree((root) => {
    for (const name of ["one", "two", "three"]) mkdirSync(join(root, name));
    writeFileSync(join(root, "one/f"), "text");
    linkSync(join(root, "one/f"), join(root, "one/g"));
    writeFileSync(join(root, "two/f"), "other");
    linkSync(join(root, "one/f"), join(root, "three/h"));
  });
  const copy = await run(copyOp(["one", "two", "three"], "/app/"), [base, linked]);
  steps.look(copy, (root) => {
    const found = ["f", "g", "h"].map((name) => readFileSync(join(root, "app", name), "utf8"));
    expect(found).toEqual(["other", "text", "text"]);
  });
});

test("a default ACL of the destination does not change the modes of what is copied into new directories", async () => {
  // acl(5): version 2, then tag, permissions and id of each entry.
  const entries = [
    [0x01, 7, 0xffffffff],
    [0x02, 7, 1000],
    [0x04, 5, 0xffffffff],
    [0x10, 7, 0xffffffff],
    [0x20, 0, 0xffffffff],
  ];
  const acl = Buffer.alloc(4 + 8 * entries.length);
  acl.writeUInt32LE(2, 0);
  for (const [index, [tag = 0, permissions = 0, id = 0]] of entries.entries()) {
    acl.writeUInt16LE(tag, 4 + 8 * index);
    acl.writeUInt16LE(permissions, 6 + 8 * index);
    acl.writeUInt32LE(id, 8 + 8 * index);
  }
  const shared = await steps.tree((root) => {
    mkdirSync(join(root, "shared"));
    const dir = openSync(root, "r");
    setXattr(dir, "shared", "system.posix_acl_default", acl);
    closeSync(dir);
  }, base);
  const copy = await run(copyOp(["dir"], "/shared"), [shared, source]);
  steps.look(copy, (root) => {
    const mode = (path: string) => lstatSync(join(root, path)).mode & 0o7777;
    expect([mode("shared/one"), mode("shared/sub/deep/three")]).toEqual([0o644, 0o644]);
    expect(mode("shared/sub/two")).toBe(0o4755);
  });
});
