import { chmodSync, mkdirSync, rmdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { invalid, messageOf } from "../../../../base/lib/errors.ts";
import { humanSize } from "../../../../base/lib/size.ts";
import { mountSpec, unmountIfMounted } from "../../../../base/sys/mount/mount.ts";
import { hostProgram, hostProgramSync } from "../../../../base/sys/process/host-program.ts";
import type { SnapshotterDeps } from "../../directory-snapshots.ts";
import { readSize } from "../../read-size.ts";
import type { Snapshotter } from "../../snapshotter.ts";
import { type NewTree, openTreeSnapshots, type TreeDriver, type TreeVolumes } from "../../tree-snapshots.ts";
import { type ThinFileSystem, thinFileSystems } from "./file-systems.ts";
import { checkFree, parsePool } from "./pool.ts";
import { ThinDevices } from "./thin-devices.ts";

export interface DevicemapperOptions {
  /** Name of the thin pool's device, of "/dev/mapper/<name>" (`dm.thinpooldev`). */
  readonly pool: string;
  /** Bytes of a new file system (`dm.basesize`). */
  readonly baseSize: number;
  /** `dm.fs`. */
  readonly fileSystem: ThinFileSystem["name"];
  /** More arguments of mkfs (`dm.mkfsarg`). */
  readonly mkfsArguments: readonly string[];
  /** More mount options (`dm.mountopt`). */
  readonly mountOptions: readonly string[];
  /** Percent of the pool below which nothing new is begun (`dm.min_free_space`). */
  readonly minFree: number;
}

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
    const table = hostProgramSync(["dmsetup", "table", name]);
    return parsePool(table, hostProgramSync(["dmsetup", "status", name]))
      ? undefined
      : `${pool} is no thin pool: ${table.trim()}`;
  } catch (error) {
    return `device mapper cannot be used: ${messageOf(error)}`;
  }
}

export function poolName(pool: string): string {
  return pool.replace(/^\/dev\/mapper\//, "");
}

/**
 * Snapshots that are thin devices of one pool, each with a file system: a child is a thin snapshot of its parent, which shares all blocks
 * until they are written. A size is that of the device, and cannot be less than that of the image's.
 */
export function openDevicemapper(deps: SnapshotterDeps & DevicemapperOptions): Promise<Snapshotter> {
  const fileSystem = thinFileSystems[deps.fileSystem];
  const devices = new ThinDevices(deps.pool);
  const volumes = mountedDevices(devices, fileSystem, deps.mountOptions);
  const driver: TreeDriver = {
    name: "devicemapper",
    shares: true,
    hooks: {
      retire: (path) => volumes.detach(join(path, "tree")),
      destroy: async (path) => {
        if (!devices.has(path)) return;
        unmountIfMounted(join(path, "tree"));
        await devices.delete(path);
      },
    },
    status: () => statusRows(deps, devices),
    readOptions: (options) => {
      const read = readSize(options, { unknown: (key) => `Unknown option ${key}`, refusal: undefined });
      if (Object.keys(options).length > 0 && (read.size ?? 0) < deps.baseSize)
        throw invalid(`Container size cannot be smaller than ${humanSize(deps.baseSize)}`);
      return read;
    },
    make: async (wanted) => {
      const now = devices.status();
      if (now) checkFree(now, deps.pool, deps.minFree);
      await makeTree(wanted, { devices, volumes, fileSystem, options: deps });
    },
    volumes,
    describe: (tree) => {
      const { name, id, bytes } = devices.of(dirname(tree));
      return { DeviceId: String(id), DeviceName: name, DeviceSize: String(bytes) };
    },
  };
  return openTreeSnapshots(deps, driver);
}

/** Trees that are mounted devices; `tree` lies in the directory that says which. */
function mountedDevices(
  devices: ThinDevices,
  fileSystem: ThinFileSystem,
  mountOptions: readonly string[],
): TreeVolumes {
  return {
    attach: (tree) => {
      const source = devices.activate(dirname(tree));
      const options = [...fileSystem.mountOptions, ...mountOptions];
      mountSpec({ type: fileSystem.name, source, options }, tree);
    },
    detach: (tree) => {
      if (unmountIfMounted(tree)) devices.deactivate(dirname(tree));
    },
  };
}

/** A device with a file system, mounted: a new one, or a snapshot of the parent's that is grown to its size. */
async function makeTree(
  { directory, tree, parent, size }: NewTree,
  on: {
    readonly devices: ThinDevices;
    readonly volumes: TreeVolumes;
    readonly fileSystem: ThinFileSystem;
    readonly options: DevicemapperOptions;
  },
): Promise<void> {
  const { devices, volumes, fileSystem, options } = on;
  const { grown } = await devices.make(directory, {
    parent: parent === undefined ? undefined : dirname(parent),
    baseSize: options.baseSize,
    size: size ?? 0,
  });
  const device = devices.activate(directory);
  if (parent === undefined) {
    await hostProgram([`mkfs.${fileSystem.name}`, ...fileSystem.mkfs, ...options.mkfsArguments, device]);
  }
  mkdirSync(tree);
  volumes.attach(tree, "active");
  if (grown) await hostProgram(fileSystem.grow(device, tree));
  if (parent === undefined) {
    chmodSync(tree, 0o755);
    // An image's root has nothing that it does not bring.
    for (const name of fileSystem.brings) rmdirSync(join(tree, name));
  }
}

function statusRows(
  { pool, baseSize, fileSystem }: DevicemapperOptions,
  devices: ThinDevices,
): (readonly [string, string])[] {
  const used = devices.status();
  const size = (bytes: number | undefined) => humanSize(bytes ?? 0);
  return [
    ["Pool Name", pool],
    ["Base Device Size", size(baseSize)],
    ["Backing Filesystem", fileSystem],
    ["Data Space Used", size(used?.dataUsed)],
    ["Data Space Total", size(used?.dataTotal)],
    ["Metadata Space Used", size(used?.metadataUsed)],
    ["Metadata Space Total", size(used?.metadataTotal)],
  ];
}
