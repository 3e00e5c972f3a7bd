import { chmodSync, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { invalid, messageOf } from "../../../../base/lib/errors.ts";
import { humanSize } from "../../../../base/lib/size.ts";
import { mountSpec, unmountIfMounted } from "../../../../base/sys/mount.ts";
import type { SnapshotterDeps } from "../../directory-snapshots.ts";
import { hostProgram, hostProgramSync } from "../../host-program.ts";
import { readSize } from "../../read-size.ts";
import type { Snapshotter } from "../../snapshotter.ts";
import { openTreeSnapshots } from "../../tree-snapshots.ts";
import { checkFree, parsePool } from "./pool.ts";

export interface DevicemapperOptions {
  /** Name of the thin pool's device, of "/dev/mapper/<name>" (`dm.thinpooldev`). */
  readonly pool: string;
  /** Bytes of a new file system (`dm.basesize`). */
  readonly baseSize: number;
  /** `dm.fs`. */
  readonly fileSystem: "ext4" | "xfs";
  /** More arguments of mkfs (`dm.mkfsarg`). */
  readonly mkfsArguments: readonly string[];
  /** More mount options (`dm.mountopt`). */
  readonly mountOptions: readonly string[];
  /** Percent of the pool below which nothing new is begun (`dm.min_free_space`). */
  readonly minFree: number;
}

const sector = 512;
const mapper = (name: string) => `/dev/mapper/${name}`;

/** Why thin snapshots cannot be kept in `pool`; undefined when they can. */
export function devicemapperProblem(
  pool: string | undefined,
  program: string | undefined,
): string | undefined {
  if (pool === undefined) {
    return "it takes a thin pool: --storage-opt dm.thinpooldev=/dev/mapper/POOL (made by lvcreate --type thin-pool, for example); its successor in Docker is overlay2";
  }
  if (program === undefined) return "the program dmsetup was not found (Debian package dmsetup)";
  try {
    const name = poolName(pool);
    const [table, status] = ["table", "status"].map((verb) => hostProgramSync(["dmsetup", verb, name]));
    return parsePool(table ?? "", status ?? "")
      ? undefined
      : `${pool} is no thin pool: ${(table ?? "").trim()}`;
  } catch (error) {
    return `device mapper cannot be used: ${messageOf(error)}`;
  }
}

export function poolName(pool: string): string {
  return pool.replace(/^\/dev\/mapper\//, "");
}

/** A thin device: its name while it is active, its id in the pool and its size. */
interface ThinDevice {
  readonly name: string;
  readonly id: number;
  readonly sectors: number;
}

/**
 * Snapshots that are thin devices of one pool, each with a file system: a child is a thin snapshot of its parent, which shares all blocks
 * until they are written. `<directory>/device` says which device it is; after a boot it is activated when it is needed. A size is that of
 * the device, and cannot be less than that of the image's.
 */
export function openDevicemapper(deps: SnapshotterDeps & DevicemapperOptions): Promise<Snapshotter> {
  const { pool, fileSystem } = deps;
  const recordOf = (directory: string) =>
    JSON.parse(readFileSync(join(directory, "device"), "utf8")) as ThinDevice;
  const message = (text: string) => hostProgram(["dmsetup", "message", pool, "0", text]);
  const look = () =>
    parsePool(hostProgramSync(["dmsetup", "table", pool]), hostProgramSync(["dmsetup", "status", pool]));

  /** Ids are the pool's, which others may use as well: any that is free. */
  async function create(origin: number | undefined): Promise<number> {
    for (let tries = 0; ; tries++) {
      const id = crypto.getRandomValues(new Uint32Array(1)).map((value) => value >>> 8)[0] ?? 0;
      try {
        await message(origin === undefined ? `create_thin ${id}` : `create_snap ${id} ${origin}`);
        return id;
      } catch (error) {
        if (tries > 8 || !messageOf(error).includes("File exists")) throw error;
      }
    }
  }

  /** The origin stands still meanwhile, where it is mounted (thin-provisioning.rst, "create_snap"). */
  async function snapshotOf(parent: string): Promise<Omit<ThinDevice, "name">> {
    const { name, id, sectors } = recordOf(parent);
    const active = existsSync(mapper(name));
    if (active) await hostProgram(["dmsetup", "suspend", name]);
    try {
      return { id: await create(id), sectors };
    } finally {
      if (active) await hostProgram(["dmsetup", "resume", name]);
    }
  }

  /** The path of the block device. */
  function activate(directory: string): string {
    const { name, id, sectors } = recordOf(directory);
    if (!existsSync(mapper(name))) {
      const table = `0 ${sectors} thin ${mapper(pool)} ${id}`;
      hostProgramSync(["dmsetup", "create", name, "--table", table]);
    }
    return mapper(name);
  }

  function attach(tree: string): void {
    const source = activate(dirname(tree));
    // Each snapshot of an XFS has the same UUID.
    const usual = fileSystem === "xfs" ? ["nouuid", "discard"] : ["noinit_itable", "discard"];
    mountSpec({ type: fileSystem, source, options: [...usual, ...deps.mountOptions] }, tree);
  }

  function detach(tree: string): void {
    if (!unmountIfMounted(tree)) return;
    const { name } = recordOf(dirname(tree));
    if (existsSync(mapper(name))) hostProgramSync(["dmsetup", "remove", "--deferred", name]);
  }

  return openTreeSnapshots(deps, {
    name: "devicemapper",
    shares: true,
    hooks: {
      retire: (path) => detach(join(path, "tree")),
      destroy: async (path) => {
        if (!existsSync(join(path, "device"))) return;
        const { name, id } = recordOf(path);
        unmountIfMounted(join(path, "tree"));
        try {
          if (existsSync(mapper(name))) await hostProgram(["dmsetup", "remove", "--retry", name]);
          await message(`delete ${id}`);
        } catch (error) {
          // Another removal was faster.
          if (!/No such device|No data available/.test(messageOf(error))) throw error;
        }
      },
    },
    status: () => {
      const used = look();
      const size = (bytes: number | undefined) => humanSize(bytes ?? 0);
      return [
        ["Pool Name", pool],
        ["Base Device Size", size(deps.baseSize)],
        ["Backing Filesystem", fileSystem],
        ["Data Space Used", size(used?.dataUsed)],
        ["Data Space Total", size(used?.dataTotal)],
        ["Metadata Space Used", size(used?.metadataUsed)],
        ["Metadata Space Total", size(used?.metadataTotal)],
      ];
    },
    readOptions: (options) => {
      const read = readSize(options, { unknown: (key) => `Unknown option ${key}`, refusal: undefined });
      if (Object.keys(options).length > 0 && (read.size ?? 0) < deps.baseSize)
        throw invalid(`Container size cannot be smaller than ${humanSize(deps.baseSize)}`);
      return read;
    },
    make: async ({ directory, tree, parent, size }) => {
      const now = look();
      if (now) checkFree(now, pool, deps.minFree);
      const begun =
        parent === undefined
          ? { id: await create(undefined), sectors: Math.ceil(deps.baseSize / sector) }
          : await snapshotOf(dirname(parent));
      const sectors = Math.max(begun.sectors, Math.ceil((size ?? 0) / sector));
      const record: ThinDevice = { ...begun, name: `tug-${basename(directory)}`, sectors };
      writeFileSync(join(directory, "device"), JSON.stringify(record), { flush: true });
      const path = activate(directory);
      if (parent === undefined) {
        const quiet =
          fileSystem === "ext4"
            ? ["-q", "-F", "-E", "nodiscard,lazy_itable_init=1", "-m", "0"]
            : ["-q", "-K"];
        await hostProgram([`mkfs.${fileSystem}`, ...quiet, ...deps.mkfsArguments, path]);
      }
      mkdirSync(tree);
      attach(tree);
      if (sectors > begun.sectors)
        await hostProgram(fileSystem === "ext4" ? ["resize2fs", path] : ["xfs_growfs", tree]);
      if (parent === undefined) {
        chmodSync(tree, 0o755);
        // An image's root has nothing that it does not bring.
        if (fileSystem === "ext4") rmdirSync(join(tree, "lost+found"));
      }
    },
    volumes: { attach, detach },
    describe: (tree) => {
      const { name, id, sectors } = recordOf(dirname(tree));
      return { DeviceId: String(id), DeviceName: name, DeviceSize: String(sectors * sector) };
    },
  });
}
