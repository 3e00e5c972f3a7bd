import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../../base/lib/clock.ts";
import type { ChainId } from "../../../../base/lib/ids.ts";
import { openDatabase } from "../../../../base/store/database.ts";
import { hostProgramSync } from "../../../../base/sys/process/host-program.ts";
import type { SnapshotterDeps } from "../../directory-snapshots.ts";
import { snapshotterSuite } from "../../suite.ts";
import { devicemapperProblem, openDevicemapper } from "./devicemapper.ts";

/** A thin pool on two files. */
class Pool {
  readonly name = `tugtest${process.pid}`;
  readonly #root = mkdtempSync(join(tmpdir(), "thin-"));
  readonly #loops: string[] = [];

  constructor() {
    try {
      const [metadata, data] = [2 ** 24, 2 ** 31].map((size, index) => this.#loop(`${index}`, size));
      const sectors = 2 ** 31 / 512;
      const pool = `0 ${sectors} thin-pool ${metadata} ${data} 128 1024 1 skip_block_zeroing`;
      hostProgramSync(["dmsetup", "create", this.name, "--table", pool]);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #loop(name: string, size: number): string {
    const path = join(this.#root, name);
    writeFileSync(path, "");
    truncateSync(path, size);
    const device = hostProgramSync(["losetup", "--find", "--show", path]).trim();
    this.#loops.push(device);
    return device;
  }

  /** Active thin devices of ours; none where there is no device mapper. */
  devices(): string[] {
    const listed = Bun.spawnSync(["dmsetup", "ls", "--target", "thin"]).stdout.toString();
    return listed.split("\n").flatMap((line) => /^(tug-\S+)/.exec(line)?.[1] ?? []);
  }

  close(): void {
    for (const device of this.devices()) hostProgramSync(["dmsetup", "remove", "--retry", device]);
    Bun.spawnSync(["dmsetup", "remove", "--retry", this.name]);
    for (const device of this.#loops) hostProgramSync(["losetup", "--detach", device]);
    rmSync(this.#root, { recursive: true, force: true });
  }
}

/** Why no pool can be made here; undefined when one can. */
function missing(): string | undefined {
  try {
    new Pool().close();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

const why = missing();
if (why) console.log(`skipped: snapshots on device mapper's thin devices: ${why}`);
else onThinDevices();

function onThinDevices(): void {
  const pool = new Pool();
  afterAll(() => pool.close());
  const options = {
    pool: pool.name,
    baseSize: 64 << 20,
    mkfsArguments: [],
    mountOptions: [],
    minFree: 10,
  };
  const open = (context: Omit<SnapshotterDeps, "clock">, fileSystem: "ext4" | "xfs" = "ext4") =>
    openDevicemapper({ ...context, ...options, fileSystem, clock: systemClock });

  snapshotterSuite("devicemapper", (context) => open(context));

  test("the pool is told of in words when it is none", () => {
    expect(devicemapperProblem(undefined, "dmsetup")).toContain("dm.thinpooldev");
    expect(devicemapperProblem("nosuch", "dmsetup")).toContain("device mapper cannot be used");
    expect(devicemapperProblem(`/dev/mapper/${pool.name}`, "dmsetup")).toBeUndefined();
  });

  for (const fileSystem of ["ext4", "xfs"] as const) {
    test(`a container's size is that of its device, on ${fileSystem}, and removal gives everything back`, async () => {
      const root = mkdtempSync(join(tmpdir(), "size-"));
      const db = openDatabase(":memory:");
      // The least that mkfs.xfs takes.
      const baseSize = fileSystem === "xfs" ? 300 << 20 : 64 << 20;
      const snapshots = await openDevicemapper({
        ...{ db, root, clock: systemClock, ...options, baseSize, fileSystem },
      });
      const used = () => new Map(snapshots.status()).get("Data Space Used");
      const before = used();
      await snapshots.prepare("fill", undefined);
      await snapshots.commit(`sha256:${"a".repeat(64)}` as ChainId, "fill");
      expect(() => snapshots.readOptions({ size: "1m" })).toThrow("Container size cannot be smaller than");
      const { size } = snapshots.readOptions({ size: String(2 * baseSize) });
      await snapshots.prepare("box", `sha256:${"a".repeat(64)}` as ChainId, size ? { size } : {});
      const layout = snapshots.layout("box");
      const tree = layout.kind === "tree" ? layout.tree : "";
      writeFileSync(join(tree, "big"), Buffer.alloc(baseSize + (8 << 20), 1), { flush: true });
      expect(() => writeFileSync(join(tree, "more"), Buffer.alloc(baseSize, 1), { flush: true })).toThrow(
        "ENOSPC",
      );
      await snapshots.remove("box");
      await snapshots.remove(`sha256:${"a".repeat(64)}`);
      expect(readdirSync(root)).toEqual([".trash"]);
      expect([pool.devices(), used()]).toEqual([[], before]);
      db.close();
      rmSync(root, { recursive: true });
    }, 60_000);
  }
}
