import { posix } from "node:path";
import { invalid } from "../../../base/lib/errors.ts";
import type { ImageId } from "../../../base/lib/ids.ts";
import type { ContainerConfig, HostConfig, Mount } from "../../../base/spec/docker/api.gen.ts";
import type { MountRecord } from "../record.ts";
import { checkVolumeName, cleanTarget, parseVolumeSpec } from "./volume-spec.ts";

/** What planning needs to know of the world; all reads. */
export interface MountPlanSources {
  /** Mounts of the container that `--volumes-from` names. */
  mountsOf(container: string): readonly MountRecord[];
  /** Does the path exist on the host? (`--mount type=bind` refuses a missing source.) */
  exists(path: string): boolean;
  imageId(reference: string): ImageId;
  randomVolumeName(): string;
  /** Where the daemon mounts things for containers. */
  readonly daemonRoot: string;
}

/**
 * Which mounts a container gets, from all five places that may ask: --volumes-from, then -v, then --mount, then --tmpfs,
 * then the image's VOLUMEs for targets nobody named. A later source replaces --volumes-from; among the others a target
 * may come once. `source` of volumes is filled in when they are created.
 */
export function planMounts(
  config: ContainerConfig,
  host: HostConfig,
  sources: MountPlanSources,
): readonly MountRecord[] {
  const inherited = new Map<string, MountRecord>();
  for (const entry of host.VolumesFrom ?? []) {
    for (const mount of inheritMounts(entry, sources)) inherited.set(mount.target, mount);
  }
  const own = new Map<string, MountRecord>();
  const add = (mount: MountRecord) => {
    if (own.has(mount.target)) throw invalid(`Duplicate mount point: ${mount.target}`);
    own.set(mount.target, mount);
  };
  for (const bind of host.Binds ?? []) add(fromBind(bind, host.VolumeDriver ?? "", sources));
  for (const mount of host.Mounts ?? []) add(fromMount(mount, sources));
  const tmpfs = new Set(Object.keys(host.Tmpfs ?? {}).map((target) => cleanTarget(target, target, "tmpfs")));
  for (const target of tmpfs) {
    if (own.has(target)) throw invalid(`Duplicate mount point: ${target}`);
    inherited.delete(target);
  }
  for (const target of Object.keys(config.Volumes ?? {})) {
    const spec = parseVolumeSpec(target);
    if (spec.source !== undefined) throw invalid(`invalid volume specification: '${target}'`);
    if (own.has(spec.target) || inherited.has(spec.target) || tmpfs.has(spec.target)) continue;
    own.set(spec.target, volume(spec.target, sources.randomVolumeName(), host.VolumeDriver ?? "", true));
  }
  for (const target of own.keys()) inherited.delete(target);
  return [...inherited.values(), ...own.values()];
}

function volume(
  target: string,
  name: string,
  driver: string,
  anonymous: boolean,
): MountRecord & { readonly type: "volume" } {
  return {
    type: "volume",
    target,
    name,
    driver: driver || "local",
    source: "",
    mode: "",
    readonly: false,
    copy: true,
    subpath: "",
    anonymous,
    labels: {},
    options: {},
  };
}

function inheritMounts(entry: string, sources: MountPlanSources): readonly MountRecord[] {
  if (entry === "") throw invalid("volumes-from specification cannot be an empty string");
  const at = entry.indexOf(":");
  const container = at < 0 ? entry : entry.slice(0, at);
  const mode = at < 0 ? "" : entry.slice(at + 1);
  if (mode !== "" && !mode.split(",").every((flag) => ["ro", "rw", "z", "Z"].includes(flag))) {
    throw invalid(`invalid mode: ${mode}`);
  }
  const readonly = mode.split(",").includes("ro");
  return sources.mountsOf(container).map((mount) => ({
    ...mount,
    ...(mount.type === "volume" ? { copy: false } : {}),
    readonly: mount.readonly || readonly,
    mode: mode || mount.mode,
  }));
}

function fromBind(bind: string, driver: string, sources: MountPlanSources): MountRecord {
  const spec = parseVolumeSpec(bind);
  if (spec.source?.kind === "path") {
    return {
      type: "bind",
      target: spec.target,
      source: spec.source.value.replace(/(.)\/$/, "$1"),
      readonly: spec.readonly,
      mode: spec.mode,
      propagation: propagationFor(spec.source.value, spec.propagation, sources),
      recursive: !spec.nonRecursive,
      readonlyDepth: "recursive",
      createSource: true,
    };
  }
  const anonymous = spec.source === undefined;
  const name = spec.source?.value ?? sources.randomVolumeName();
  return {
    ...volume(spec.target, name, driver, anonymous),
    readonly: spec.readonly,
    mode: spec.mode || (anonymous ? "" : "z"),
    copy: spec.copy,
  };
}

function fromMount(mount: Mount, sources: MountPlanSources): MountRecord {
  const type = mount.Type ?? "";
  const fail = (reason: string) =>
    invalid(`invalid mount config for type ${JSON.stringify(type)}: ${reason}`);
  if (!["bind", "volume", "tmpfs", "image"].includes(type)) throw fail("mount type unknown");
  const target = mount.Target ?? "";
  if (target === "") throw fail("field Target must not be empty");
  if (!target.startsWith("/")) throw fail(`invalid mount path: '${target}' mount path must be absolute`);
  const clean = posix.normalize(target).replace(/(.)\/$/, "$1");
  if (clean === "/") throw fail("invalid specification: destination can't be '/'");
  for (const [owner, options] of [
    ["bind", "BindOptions"],
    ["volume", "VolumeOptions"],
    ["tmpfs", "TmpfsOptions"],
    ["image", "ImageOptions"],
  ] as const) {
    if (owner !== type && mount[options]) throw fail(`field ${options} must not be specified`);
  }
  const shared = { target: clean, readonly: mount.ReadOnly ?? false, mode: "" };
  const source = mount.Source ?? "";
  switch (type) {
    case "bind": {
      if (source === "") throw fail("field Source must not be empty");
      if (!source.startsWith("/")) {
        throw fail(`invalid mount path: '${source}' mount path must be absolute`);
      }
      const create = mount.BindOptions?.CreateMountpoint ?? false;
      if (!create && !sources.exists(source)) throw fail(`bind source path does not exist: ${source}`);
      const asked = mount.BindOptions?.Propagation ?? "";
      if (asked !== "" && !/^r?(?:private|slave|shared)$/.test(asked)) {
        throw fail(`invalid propagation mode: ${asked}`);
      }
      const recursive = !(mount.BindOptions?.NonRecursive ?? false);
      return {
        ...shared,
        type,
        source: posix.normalize(source).replace(/(.)\/$/, "$1"),
        propagation: propagationFor(source, asked, sources),
        recursive,
        readonlyDepth: readonlyDepth(mount, fail),
        createSource: create,
      };
    }
    case "volume": {
      const anonymous = source === "";
      if (!anonymous) checkVolumeName(source);
      const options = mount.VolumeOptions;
      if (anonymous && options?.Subpath) throw fail("must not set Subpath when using anonymous volumes");
      return {
        ...shared,
        type,
        name: anonymous ? sources.randomVolumeName() : source,
        driver: options?.DriverConfig?.Name || "local",
        source: "",
        mode: "z",
        copy: !(options?.NoCopy ?? false),
        subpath: checkSubpath(options?.Subpath ?? "", fail),
        anonymous,
        labels: options?.Labels ?? {},
        options: options?.DriverConfig?.Options ?? {},
      };
    }
    case "tmpfs": {
      if (source !== "") throw fail("field Source must not be specified");
      return { ...shared, type, options: tmpfsOptions(mount) };
    }
    default: {
      if (source === "") throw fail("field Source must not be empty");
      return {
        ...shared,
        type: "image",
        imageId: sources.imageId(source),
        source,
        subpath: checkSubpath(mount.ImageOptions?.Subpath ?? "", fail),
        readonly: true,
      };
    }
  }
}

/**
 * A container that sees the daemon's own mounts must also see them go, or it would hold the file systems of others after
 * they ended.
 */
function propagationFor(source: string, asked: string, sources: MountPlanSources): string {
  const root = sources.daemonRoot;
  const within = (path: string, directory: string) =>
    path === directory || path.startsWith(directory.endsWith("/") ? directory : `${directory}/`);
  if (!within(source, root) && !within(root, source)) return asked || "rprivate";
  if (asked === "" || asked === "rslave" || asked === "rshared") return asked || "rslave";
  throw invalid(
    `invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root, daemon root: ${JSON.stringify(root)}, bind mount source: ${JSON.stringify(source)}, propagation: ${JSON.stringify(asked)}`,
  );
}

function readonlyDepth(
  mount: Mount,
  fail: (reason: string) => Error,
): "recursive" | "non-recursive" | "force-recursive" {
  const { ReadOnlyNonRecursive, ReadOnlyForceRecursive, NonRecursive, Propagation } = mount.BindOptions ?? {};
  if (ReadOnlyNonRecursive) {
    if (!mount.ReadOnly) throw fail("mode must be read-only when ReadOnlyNonRecursive is specified");
    return "non-recursive";
  }
  if (!ReadOnlyForceRecursive) return "recursive";
  if (!mount.ReadOnly) throw fail("mode must be read-only when ReadOnlyForceRecursive is specified");
  if (NonRecursive) throw fail("conflicting options: NonRecursive and ReadOnlyForceRecursive");
  if (Propagation !== "rprivate") {
    throw fail("propagation must be set to rprivate when ReadOnlyForceRecursive is specified");
  }
  return "force-recursive";
}

function tmpfsOptions(mount: Mount): readonly string[] {
  const options: string[] = [];
  const { SizeBytes, Mode, Options } = mount.TmpfsOptions ?? {};
  if (SizeBytes) options.push(`size=${SizeBytes}`);
  if (Mode) options.push(`mode=${Mode.toString(8)}`);
  for (const pair of Options ?? []) options.push(pair.join("="));
  return options;
}

function checkSubpath(subpath: string, fail: (reason: string) => Error): string {
  if (subpath === "") return "";
  const clean = posix.normalize(subpath);
  if (subpath.startsWith("/") || clean === ".." || clean.startsWith("../")) {
    throw fail("subpath must be a relative path within the volume");
  }
  return clean;
}
