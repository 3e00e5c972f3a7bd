import { invalid } from "../../../base/lib/errors.ts";
import type { Mount } from "../../../base/spec/docker/api.gen.ts";
import { parseBoolean, parseCsv } from "../../flags/flag.ts";
import { parseSize } from "../../format/units.ts";
import { absolutePath } from "../../io/builtin.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
interface Draft {
  type: string;
  mount: Mutable<Mount>;
  bind: NonNullable<Mount["BindOptions"]> | undefined;
  volume: NonNullable<Mount["VolumeOptions"]> | undefined;
  image: NonNullable<Mount["ImageOptions"]> | undefined;
  tmpfs: NonNullable<Mount["TmpfsOptions"]> | undefined;
}

/** Reads one --mount value: `type=bind,source=/a,target=/b,readonly`, with Docker's complaints. */
export function parseMount(value: string): Mount {
  const draft: Draft = {
    type: "volume",
    mount: {},
    bind: undefined,
    volume: undefined,
    image: undefined,
    tmpfs: undefined,
  };
  if (value === "") throw invalid("EOF");
  for (const field of parseCsv(value)) {
    const at = field.indexOf("=");
    const key = (at < 0 ? field : field.slice(0, at)).toLowerCase();
    if (at < 0) setSwitch(draft, key, field);
    else setOption(draft, key, field.slice(at + 1), field);
  }
  return finish(draft);
}

function setSwitch(draft: Draft, key: string, field: string): void {
  switch (key) {
    case "readonly":
    case "ro":
      draft.mount.ReadOnly = true;
      return;
    case "volume-nocopy":
      draft.volume = { ...draft.volume, NoCopy: true };
      return;
    case "bind-nonrecursive":
      draft.bind = { ...draft.bind, NonRecursive: true };
      return;
    case "bind-create-src":
      draft.bind = { ...draft.bind, CreateMountpoint: true };
      return;
    default:
      throw invalid(`invalid field '${field}' must be a key=value pair`);
  }
}

function setOption(draft: Draft, key: string, value: string, field: string): void {
  const boolean = () => {
    try {
      return parseBoolean(value);
    } catch (error) {
      throw invalid(`invalid value for ${key}: ${value}`, error);
    }
  };
  switch (key) {
    case "type":
      draft.type = value.toLowerCase();
      return;
    case "source":
    case "src":
      draft.mount.Source =
        value === "." || value.startsWith("./") || value === ".." || value.startsWith("../")
          ? absolutePath(value)
          : value;
      return;
    case "target":
    case "dst":
    case "destination":
      draft.mount.Target = value;
      return;
    case "readonly":
    case "ro":
      draft.mount.ReadOnly = boolean();
      return;
    case "consistency":
      draft.mount.Consistency = value.toLowerCase();
      return;
    case "bind-propagation":
      draft.bind = { ...draft.bind, Propagation: value.toLowerCase() };
      return;
    case "bind-nonrecursive":
      draft.bind = { ...draft.bind, NonRecursive: boolean() };
      return;
    case "bind-create-src":
      draft.bind = { ...draft.bind, CreateMountpoint: boolean() };
      return;
    case "bind-recursive":
      draft.bind = { ...draft.bind, ...recursive(key, value) };
      return;
    case "volume-nocopy":
      draft.volume = { ...draft.volume, NoCopy: boolean() };
      return;
    case "volume-subpath":
      draft.volume = { ...draft.volume, Subpath: value };
      return;
    case "volume-label":
      draft.volume = { ...draft.volume, Labels: { ...draft.volume?.Labels, ...pair(value) } };
      return;
    case "volume-driver":
      draft.volume = { ...draft.volume, DriverConfig: { ...draft.volume?.DriverConfig, Name: value } };
      return;
    case "volume-opt": {
      const config = draft.volume?.DriverConfig;
      draft.volume = {
        ...draft.volume,
        DriverConfig: { ...config, Options: { ...config?.Options, ...pair(value) } },
      };
      return;
    }
    case "image-subpath":
      draft.image = { Subpath: value };
      return;
    case "tmpfs-size":
      try {
        draft.tmpfs = { ...draft.tmpfs, SizeBytes: parseSize(value) };
      } catch (error) {
        throw invalid(`invalid value for ${key}: ${value}`, error);
      }
      return;
    case "tmpfs-mode":
      if (!/^[0-7]{1,11}$/.test(value)) throw invalid(`invalid value for ${key}: ${value}`);
      draft.tmpfs = { ...draft.tmpfs, Mode: Number.parseInt(value, 8) };
      return;
    default:
      throw invalid(`unexpected key '${key}' in '${field}'`);
  }
}

function recursive(key: string, value: string): NonNullable<Mount["BindOptions"]> {
  switch (value) {
    case "enabled":
      return {};
    case "disabled":
      return { NonRecursive: true };
    case "writable":
      return { ReadOnlyNonRecursive: true };
    case "readonly":
      return { ReadOnlyForceRecursive: true };
    default:
      throw invalid(
        `invalid value for ${key}: ${value} (must be "enabled", "disabled", "writable", or "readonly")`,
      );
  }
}

function pair(text: string): Record<string, string> {
  const at = text.indexOf("=");
  return at < 0 ? { [text]: "" } : { [text.slice(0, at)]: text.slice(at + 1) };
}

function finish(draft: Draft): Mount {
  const { type, mount, bind, volume, image, tmpfs } = draft;
  if (type === "") throw invalid("type is required");
  if (!mount.Target) throw invalid("target is required");
  const foreign = [
    ["volume", volume],
    ["image", image],
    ["bind", bind],
    ["tmpfs", tmpfs],
  ] as const;
  for (const [kind, options] of foreign) {
    if (options && type !== kind) throw invalid(`cannot mix '${kind}-*' options with mount type '${type}'`);
  }
  if (bind?.ReadOnlyNonRecursive && !mount.ReadOnly) {
    throw invalid("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction");
  }
  if (bind?.ReadOnlyForceRecursive) {
    if (!mount.ReadOnly) {
      throw invalid("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction");
    }
    if (bind.Propagation !== "rprivate") {
      throw invalid(
        "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
      );
    }
  }
  return {
    Type: type,
    ...mount,
    ...(bind ? { BindOptions: bind } : {}),
    ...(volume ? { VolumeOptions: volume } : {}),
    ...(image ? { ImageOptions: image } : {}),
    ...(tmpfs ? { TmpfsOptions: tmpfs } : {}),
  };
}
