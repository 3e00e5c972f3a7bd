import { join } from "node:path";
import { invalid } from "../../base/lib/errors.ts";
import { parseSize } from "../../base/lib/size.ts";
import {
  devicemapperProblem,
  openDevicemapper,
  poolName,
} from "../../core/snapshot/drivers/devicemapper/devicemapper.ts";
import { datasetOf, openZfs, zfsProblem } from "../../core/snapshot/drivers/zfs/zfs.ts";
import { findProgram } from "../find-program.ts";
import { readDriverOptions, type StorageDriver, type StorageDriverDeps } from "./storage-drivers.ts";

/** Storage drivers whose layers are file systems of their own in a pool that the host has. */

const unknown = (key: string) => `Unknown option ${key}`;
const asked = (options: StorageDriverDeps["options"], key: string) =>
  options.findLast(([name]) => name.toLowerCase() === key)?.[1];

export function zfsDriver({ db, clock, log, dataRoot, options }: StorageDriverDeps): StorageDriver {
  const dataset = asked(options, "zfs.fsname");
  return {
    name: "zfs",
    problem: () => zfsProblem(dataRoot, dataset, findProgram(["zfs"])),
    open: () => {
      readDriverOptions(options, ["zfs.fsname"], unknown);
      return openZfs({
        ...{ db, clock, log, root: join(dataRoot, "zfs") },
        dataset: dataset ?? datasetOf(dataRoot) ?? "",
      });
    },
  };
}

const devicemapperOptions = [
  "dm.thinpooldev",
  "dm.basesize",
  "dm.fs",
  "dm.mkfsarg",
  "dm.mountopt",
  "dm.min_free_space",
  // What they ask for is done anyway.
  "dm.use_deferred_removal",
  "dm.use_deferred_deletion",
];

export function devicemapperDriver({ db, clock, log, dataRoot, options }: StorageDriverDeps): StorageDriver {
  const pool = asked(options, "dm.thinpooldev");
  return {
    name: "devicemapper",
    problem: () => devicemapperProblem(pool, findProgram(["dmsetup"])),
    open: () => {
      const values = readDriverOptions(options, devicemapperOptions, unknown);
      const fileSystem = values.get("dm.fs") ?? "ext4";
      if (fileSystem !== "ext4" && fileSystem !== "xfs")
        throw invalid(`devmapper: Unsupported filesystem ${fileSystem}`);
      const minFree = /^(\d{1,2})%$/.exec(values.get("dm.min_free_space") ?? "10%")?.[1];
      if (minFree === undefined) throw invalid("dm.min_free_space: a percentage from 0% to 99% is needed");
      const words = (key: string, by: RegExp) =>
        (values.get(key) ?? "").split(by).filter((one) => one !== "");
      return openDevicemapper({
        ...{ db, clock, log, root: join(dataRoot, "devicemapper"), fileSystem },
        pool: poolName(pool ?? ""),
        baseSize: parseSize(values.get("dm.basesize") ?? "10G"),
        mkfsArguments: words("dm.mkfsarg", /\s+/),
        mountOptions: words("dm.mountopt", /,/),
        minFree: Number(minFree),
      });
    },
  };
}
