import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../../base/lib/clock.ts";
import { internal } from "../../../../base/lib/errors.ts";
import { openDatabase } from "../../../../base/store/database.ts";
import { hostProgramSync } from "../../../../base/sys/process/host-program.ts";
import { snapshotterSuite } from "../../suite.ts";
import { openZfs, zfsProblem } from "./zfs.ts";

/** A pool on a file, with a dataset for trees. */
class Zpool {
  readonly name = `tugtest${process.pid}`;
  readonly #root = mkdtempSync(join(tmpdir(), "zpool-"));

  constructor() {
    writeFileSync(join(this.#root, "disk"), "");
    truncateSync(join(this.#root, "disk"), 1 << 30);
    hostProgramSync(["zpool", "create", "-O", "mountpoint=none", this.name, join(this.#root, "disk")]);
    hostProgramSync(["zfs", "create", `${this.name}/trees`]);
  }

  datasets(): string[] {
    const listed = hostProgramSync(["zfs", "list", "-rH", "-o", "name", "-t", "all", `${this.name}/trees`]);
    return listed.trim().split("\n").slice(1);
  }

  close(): void {
    hostProgramSync(["zpool", "destroy", "-f", this.name]);
    rmSync(this.#root, { recursive: true });
  }
}

function missing(): string | undefined {
  if (!Bun.which("zpool", { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` }))
    return "zpool is not installed (Debian package zfsutils-linux, in contrib)";
  try {
    new Zpool().close();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

const why = missing();
if (why) console.log(`skipped: snapshots on zfs: ${why}`);
else onZfs();

function onZfs(): void {
  const pool = new Zpool();
  afterAll(() => pool.close());
  const dataset = `${pool.name}/trees`;

  snapshotterSuite("zfs", (context) => openZfs({ ...context, dataset, clock: systemClock }));

  test("a dataset that is none is told of in words", () => {
    expect(zfsProblem("/", dataset, "zfs")).toBeUndefined();
    expect(zfsProblem("/", `${pool.name}/nosuch`, "zfs")).toContain("does not exist");
  });

  test("nothing of a removed tree stays in the pool", async () => {
    const root = mkdtempSync(join(tmpdir(), "gone-"));
    const db = openDatabase(":memory:");
    const before = pool.datasets();
    const snapshots = await openZfs({ db, root, dataset, clock: systemClock });
    await snapshots.prepare("box", undefined);
    expect(pool.datasets().length).toBe(before.length + 1);
    await snapshots.remove("box");
    expect([pool.datasets(), readdirSync(root)]).toEqual([before, [".trash"]]);
    db.close();
    rmSync(root, { recursive: true });
  });
}

test("what cannot hold datasets is told of with the reason", () => {
  expect(zfsProblem("/proc", undefined, "zfs")).toContain("/proc does not lie on zfs");
  expect(zfsProblem("/proc", "pool/trees", undefined)).toContain("the program zfs was not found");
});

/** Opens the driver on a root with a directory that no record names, and answers as `zfs` of OpenZFS 2.1 does. */
async function recovering(answer: (command: string) => string | Error): Promise<string[]> {
  const root = mkdtempSync(join(tmpdir(), "zfs-"));
  const db = openDatabase(":memory:");
  mkdirSync(join(root, "stray"));
  const said: string[] = [];
  const zfs = async (...args: readonly string[]) => {
    said.push(args.join(" "));
    const told = answer(args.join(" "));
    if (told instanceof Error) throw told;
    return told;
  };
  try {
    await openZfs({ db, root, dataset: "pool/trees", clock: systemClock, zfs });
    expect(readdirSync(join(root, ".trash"))).toEqual([]);
    return said;
  } finally {
    db.close();
    rmSync(root, { recursive: true });
  }
}

test("a crash's directory goes with its dataset, or without when there is none", async () => {
  expect(await recovering(() => "")).toEqual(["destroy -r pool/trees/stray"]);
  const none = internal("zfs destroy: cannot open 'pool/trees/stray': dataset does not exist");
  expect((await recovering(() => none))[0]).toBe("destroy -r pool/trees/stray");
});

test("a clone that outlives what it was made of is promoted first", async () => {
  let promoted = false;
  const said = await recovering((command) => {
    if (command.startsWith("promote")) promoted = true;
    if (command.startsWith("get")) return "-\npool/trees/one,pool/trees/two\n";
    if (!command.startsWith("destroy") || promoted) return "";
    return internal("zfs destroy: cannot destroy 'pool/trees/stray': filesystem has dependent clones");
  });
  expect(said).toEqual([
    "destroy -r pool/trees/stray",
    "get -rH -t snapshot -o value clones pool/trees/stray",
    "promote pool/trees/one",
    "destroy -r pool/trees/stray",
  ]);
});
