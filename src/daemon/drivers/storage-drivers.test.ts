import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../base/lib/clock.ts";
import { createLog } from "../../base/lib/log.ts";
import { type Database, openDatabase } from "../../base/store/database.ts";
import { openVfs } from "../../core/snapshot/drivers/vfs/vfs.ts";
import { SnapshotRecords } from "../../core/snapshot/records.ts";
import {
  chooseSnapshotter,
  readDriverOptions,
  type StorageDriver,
  type StorageDriverDeps,
} from "./storage-drivers.ts";

let dataRoot = "";
let db: Database;
let said: string[] = [];
const log = createLog("debug", (line) => void said.push(line), {}, "json");
const deps = (): StorageDriverDeps => ({ db, dataRoot, clock: systemClock, log, options: [] });

beforeAll(() => {
  dataRoot = mkdtempSync(join(tmpdir(), "choose-"));
});
beforeEach(() => {
  db = openDatabase(":memory:");
  said = [];
});
afterAll(() => rmSync(dataRoot, { recursive: true }));

/** Drivers that are all vfs but for their names; `problem` by name is why one cannot be used. */
function table(problems: Readonly<Record<string, string>> = {}): readonly StorageDriver[] {
  return ["overlay2", "fuse-overlayfs", "btrfs", "vfs"].map((name) => ({
    name,
    problem: () => problems[name],
    open: async () => {
      opened = name;
      return await openVfs({ db, root: join(dataRoot, name), clock: systemClock });
    },
  }));
}

let opened = "";

async function chosen(
  wanted: string | undefined,
  problems: Readonly<Record<string, string>> = {},
): Promise<string> {
  await chooseSnapshotter(wanted, table(problems), deps());
  return opened;
}

function used(driver: string): void {
  new SnapshotRecords(db, driver).insertActive({
    name: `box-${driver}`,
    parent: undefined,
    created: 0,
    directory: "d",
    volatile: false,
  });
}

test("a new data root gets the first driver that works, and the log says why others do not", async () => {
  expect(await chosen(undefined)).toBe("overlay2");
  expect(await chosen(undefined, { overlay2: "no", "fuse-overlayfs": "missing" })).toBe("btrfs");
  expect(said.join("\n")).toContain('"driver":"fuse-overlayfs","problem":"missing"');
});

test("a data root that holds layers keeps their driver, even where a better one works", async () => {
  used("btrfs");
  expect(await chosen(undefined)).toBe("btrfs");
  // Whole copies count only when nothing else does.
  used("vfs");
  expect(await chosen(undefined)).toBe("btrfs");
  expect(said.join("\n")).toContain('"other":"vfs"');
});

test("a data root whose driver cannot be used any more is not taken over by another one", async () => {
  used("btrfs");
  await expect(chosen(undefined, { btrfs: "wrong filesystem" })).rejects.toThrow("btrfs: wrong filesystem");
});

test("layers of several drivers need a choice, in Docker's words", async () => {
  used("btrfs");
  used("overlay2");
  await expect(chosen(undefined)).rejects.toThrow(
    `${dataRoot} contains several valid graphdrivers: btrfs, overlay2; cleanup or explicitly choose storage driver (-s <DRIVER>)`,
  );
  expect(await chosen("btrfs")).toBe("btrfs");
});

test("Docker's name for its image store on overlay means overlay2", async () => {
  expect(await chosen("overlayfs")).toBe("overlay2");
});

test("options are known by their driver, in any case", () => {
  const unknown = (key: string) => `unknown option ${key}`;
  expect(readDriverOptions([["Btrfs.Min_Space", "1g"]], ["btrfs.min_space"], unknown)).toEqual(
    new Map([["btrfs.min_space", "1g"]]),
  );
  expect(() => readDriverOptions([["dm.basesize", "1g"]], ["btrfs.min_space"], unknown)).toThrow(
    "unknown option dm.basesize",
  );
});
