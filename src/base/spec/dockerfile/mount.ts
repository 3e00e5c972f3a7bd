import { parseBoolean } from "../../lib/boolean.ts";
import { parseCsv } from "../../lib/csv.ts";
import { invalid, messageOf, TugError } from "../../lib/errors.ts";
import { parseSize } from "../../lib/size.ts";
import { withHint } from "./suggest.ts";

/** `RUN --mount=…` as it was said; what was not is undefined or "". */
export interface RunMount {
  readonly type: MountType;
  readonly from: string;
  readonly source: string;
  readonly target: string;
  readonly readonly: boolean;
  /** tmpfs, bytes; 0: no limit. */
  readonly size: number;
  readonly id: string;
  readonly sharing: "shared" | "private" | "locked" | undefined;
  readonly required: boolean;
  /** Of a secret: the variable that has it; "" is named like the secret. */
  readonly env: string | undefined;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

const types = ["bind", "cache", "tmpfs", "secret", "ssh"] as const;
export type MountType = (typeof types)[number];
const sharings = ["shared", "private", "locked"] as const;
const keys = [
  ...["type", "from", "source", "target", "readonly", "id", "sharing", "required", "size", "mode", "uid"],
  ...["gid", "src", "dst", "destination", "ro", "rw", "readwrite", "env"],
];

/** Key and value pairs of `value`, quoted as CSV; keys in lower case. */
function fields(
  what: string,
  value: string,
): readonly { key: string; value: string | undefined; field: string }[] {
  let record: readonly string[];
  try {
    record = parseCsv(value);
  } catch (error) {
    if (!(error instanceof TugError)) throw error;
    throw invalid(`failed to parse csv ${what}: ${messageOf(error)}`, error);
  }
  return record.map((field) => {
    const at = field.indexOf("=");
    const key = (at < 0 ? field : field.slice(0, at)).toLowerCase();
    return { key, value: at < 0 ? undefined : field.slice(at + 1), field };
  });
}

/** What can be said of a mount before variables are known: `from`, which decides the order of stages, takes none. */
export function mountFrom(value: string): string {
  let from = "";
  for (const field of fields("mounts", value)) {
    if (field.key !== "from" || field.value === undefined) continue;
    const at = field.value.indexOf("$");
    if (at >= 0 && at !== field.value.length - 1)
      throw invalid("'from' doesn't support variable expansion, define alias stage instead");
    from = field.value;
  }
  return from;
}

/** A mount with its variables expanded. Throws invalid-argument with BuildKit's texts. */
export function parseMount(value: string, expand: (text: string) => string): RunMount {
  const mount = { ...unset };
  for (const { key, value: raw, field } of fields("mounts", value)) {
    if (raw === undefined) bareKey(mount, key, field);
    else if (!setKey(mount, key, expand(raw)))
      throw invalid(withHint(`unexpected key '${key}' in '${field}'`, key, keys, true));
  }
  check(mount);
  const { readonly: given, ...rest } = mount;
  return { ...rest, readonly: given ?? (mount.type !== "cache" && mount.type !== "tmpfs") };
}

type Draft = { -readonly [K in keyof Omit<RunMount, "readonly">]: RunMount[K] } & {
  readonly: boolean | undefined;
};

const unset: Draft = {
  type: "bind",
  from: "",
  source: "",
  target: "",
  readonly: undefined,
  size: 0,
  id: "",
  sharing: undefined,
  required: false,
  env: undefined,
  mode: undefined,
  uid: undefined,
  gid: undefined,
};

function bareKey(mount: Draft, key: string, field: string): void {
  if (key === "readonly" || key === "ro") mount.readonly = true;
  else if (key === "readwrite" || key === "rw") mount.readonly = false;
  else if (key === "required") mount.required = mayBeRequired(mount);
  else throw invalid(`invalid field '${field}' must be a key=value pair`);
}

function mayBeRequired(mount: Draft): true {
  if (mount.type === "secret" || mount.type === "ssh") return true;
  throw invalid(`unexpected key 'required' for mount type '${mount.type}'`);
}

/** False for a key that there is not. */
function setKey(mount: Draft, key: string, value: string): boolean {
  switch (key) {
    case "type":
      mount.type = oneOf(types, "mount type", value);
      return true;
    case "from":
    case "id":
    case "env":
      mount[key] = value;
      return true;
    case "source":
    case "src":
      mount.source = value;
      return true;
    case "target":
    case "dst":
    case "destination":
      mount.target = value;
      return true;
    case "readonly":
    case "ro":
      mount.readonly = boolean(key, value);
      return true;
    case "readwrite":
    case "rw":
      mount.readonly = !boolean(key, value);
      return true;
    case "required":
      mount.required = mayBeRequired(mount) && boolean(key, value);
      return true;
    case "size":
      mount.size = size(mount, value);
      return true;
    case "sharing":
      mount.sharing = oneOf(sharings, "sharing value", value);
      return true;
    case "mode":
      mount.mode = number(key, value, 8);
      return true;
    case "uid":
    case "gid":
      mount[key] = number(key, value, 10);
      return true;
    default:
      return false;
  }
}

function oneOf<T extends string>(options: readonly T[], what: string, value: string): T {
  const found = options.find((option) => option === value.toLowerCase());
  if (found !== undefined) return found;
  throw invalid(withHint(`unsupported ${what} ${JSON.stringify(value)}`, value, options, true));
}

function boolean(key: string, value: string): boolean {
  try {
    return parseBoolean(value);
  } catch (error) {
    throw invalid(`invalid value for ${key}: ${value}`, error);
  }
}

function size(mount: Draft, value: string): number {
  if (mount.type !== "tmpfs") throw invalid(`unexpected key 'size' for mount type '${mount.type}'`);
  try {
    return parseSize(value);
  } catch (error) {
    throw invalid(`invalid value for size: ${value}`, error);
  }
}

function number(key: string, value: string, base: 8 | 10): number {
  const parsed = (base === 8 ? /^[0-7]{1,12}$/ : /^\d{1,12}$/).test(value)
    ? Number.parseInt(value, base)
    : Number.NaN;
  if (parsed <= 0xffff_ffff) return parsed;
  throw invalid(`invalid value ${value} for ${key}`);
}

function check(mount: Draft): void {
  if (mount.type === "bind" || mount.type === "tmpfs") {
    for (const key of ["mode", "uid", "gid"] as const)
      if (mount[key] !== undefined) throw invalid(`${key} not allowed for "${mount.type}" type mounts`);
  }
  if (mount.type === "secret") {
    if (mount.from !== "") throw invalid("secret mount should not have a from");
    if (mount.sharing !== undefined) throw invalid("secret mount should not define sharing");
    if (mount.source === "" && mount.target === "" && mount.id === "")
      throw invalid("invalid secret mount. one of source, target required");
    if (mount.source !== "" && mount.id !== "") throw invalid("both source and id can't be set");
  }
  if (mount.sharing !== undefined && mount.type !== "cache")
    throw invalid(`invalid cache sharing set for ${mount.type} mount`);
}

/** `RUN --device=…`: a CDI name, or `name=…,required`. */
export function parseDevice(value: string): { readonly name: string; readonly required: boolean } {
  let name = "";
  let required = false;
  for (const { key, value: raw, field } of fields("devices", value)) {
    if (key === "required") required = raw === undefined || boolean(key, raw);
    else if (key === "name" && raw !== undefined) {
      if (name !== "") throw invalid(`device name already set to ${name}`);
      name = raw;
    } else if (name === "") name = field;
    else if (raw === undefined) throw invalid(`invalid field '${field}' must be a key=value pair`);
    else throw invalid(withHint(`unexpected key '${key}' in '${field}'`, key, ["name", "required"], true));
  }
  return { name, required };
}
