import { invalid, messageOf } from "../../base/lib/errors.ts";
import { jsonKind } from "../../base/lib/json-kind.ts";
import { type JsonDocument, readJsonText } from "../../base/lib/json-text.ts";
import { type DaemonOption, daemonOptions, fileKey } from "./options.ts";

export type OptionValue = string | boolean | number | readonly string[] | Readonly<Record<string, unknown>>;
/** Values by flag name. */
export type OptionValues = ReadonlyMap<string, OptionValue>;

const byFlag = new Map(daemonOptions.map((option) => [option.flag, option]));

/** Parses the command line after `daemon`, or after another `command` with `options` of its own; pflag's grammar and error texts. */
export function parseFlags(
  args: readonly string[],
  options: readonly DaemonOption[] = daemonOptions,
  command = "tug daemon",
): OptionValues {
  const byFlag = new Map(options.map((option) => [option.flag, option]));
  const byShort = new Map(
    options.flatMap((option) => (option.short ? [[option.short, option] as const] : [])),
  );
  const values = new Map<string, OptionValue>();
  const rest = [...args];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") break;
    if (word.startsWith("--")) {
      const [name = "", inline] = splitOnce(word.slice(2), "=");
      const option = byFlag.get(name);
      if (!option || name === "runtimes") throw invalid(`unknown flag: --${name}`);
      take(values, option, inline, rest, `--${name}`);
    } else if (word.startsWith("-") && word.length > 1) {
      takeShort(values, word, rest, byShort);
    } else throw invalid(`"${command}" accepts no arguments, got ${JSON.stringify(word)}`);
  }
  if (rest.length > 0) throw invalid(`"${command}" accepts no arguments, got ${JSON.stringify(rest[0])}`);
  return values;
}

function takeShort(
  values: Map<string, OptionValue>,
  word: string,
  rest: string[],
  byShort: ReadonlyMap<string, DaemonOption>,
): void {
  for (let at = 1; at < word.length; at++) {
    const letter = word[at] ?? "";
    const option = byShort.get(letter);
    if (!option) throw invalid(`unknown shorthand flag: '${letter}' in ${word}`);
    if (option.kind === "bool") {
      const inline = word[at + 1] === "=" ? word.slice(at + 2) : undefined;
      take(values, option, inline, rest, `-${letter}`);
      if (inline !== undefined) return;
      continue;
    }
    const tail = word.slice(at + 1).replace(/^=/, "");
    take(values, option, tail === "" ? undefined : tail, rest, `-${letter}`);
    return;
  }
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function take(
  values: Map<string, OptionValue>,
  option: DaemonOption,
  inline: string | undefined,
  rest: string[],
  name: string,
): void {
  if (option.kind === "bool") {
    values.set(option.flag, parseBool(inline ?? "true", name));
    return;
  }
  const text = inline ?? rest.shift();
  if (text === undefined) throw invalid(`flag needs an argument: ${name}`);
  const before = values.get(option.flag);
  switch (option.kind) {
    case "int": {
      if (!/^-?\d+$/.test(text)) {
        throw invalid(
          `invalid argument ${JSON.stringify(text)} for ${JSON.stringify(name)} flag: strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`,
        );
      }
      values.set(option.flag, Number(text));
      return;
    }
    case "list":
      values.set(option.flag, [...(Array.isArray(before) ? (before as string[]) : []), text]);
      return;
    case "map": {
      const [key, value] = splitOnce(text, "=");
      if (value === undefined)
        throw invalid(
          `invalid argument ${JSON.stringify(text)} for ${JSON.stringify(name)} flag: expected name=value`,
        );
      values.set(option.flag, { ...(before as Record<string, unknown> | undefined), [key]: value });
      return;
    }
    default:
      values.set(option.flag, text);
  }
}

function parseBool(text: string, name: string): boolean {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(text)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(text)) return false;
  throw invalid(
    `invalid argument ${JSON.stringify(text)} for ${JSON.stringify(name)} flag: strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`,
  );
}

const byKey = new Map(
  daemonOptions.flatMap((option) => {
    const key = fileKey(option);
    return key === undefined ? [] : [[key, option] as const];
  }),
);
/** The old name of a key that people still have in their files. */
const aliases: Readonly<Record<string, string>> = {
  "host-gateway-ip": "host-gateway-ips",
  graph: "data-root",
};
/** Keys that stand in an object of their own in the file. */
const groups: ReadonlyMap<string, readonly string[]> = new Map([
  ["proxies", ["http-proxy", "https-proxy", "no-proxy"]],
]);

/** What the file says, and the keys that it says twice, of which the last counts as for dockerd. */
export interface ConfigFileValues {
  readonly values: OptionValues;
  readonly repeated: readonly string[];
}

/** Reads daemon.json's text; dockerd's words for what it refuses. */
export function parseConfigFile(path: string, text: string): ConfigFileValues {
  const fail = (reason: string) =>
    invalid(`unable to configure the Docker daemon with file ${path}: ${reason}`);
  if (text.trim() === "") return { values: new Map(), repeated: [] };
  let document: JsonDocument;
  try {
    document = readJsonText(text);
  } catch (error) {
    throw fail(messageOf(error));
  }
  const { value: parsed, repeated } = document;
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw fail(
      `json: cannot unmarshal ${jsonKind(parsed)} into Go value of type map[string]interface {}: the file has to hold one object, { ... }`,
    );
  }
  const values = new Map<string, OptionValue>();
  const unknown: string[] = [];
  for (const [key, value] of ungrouped(parsed)) {
    const option = byKey.get(Object.hasOwn(aliases, key) ? (aliases[key] ?? key) : key);
    if (!option) unknown.push(key);
    // To Go it is as if the key were not there.
    else if (value !== null) values.set(option.flag, checkKind(option, key, value, fail));
  }
  if (unknown.length > 0) {
    throw fail(`the following directives don't match any configuration option: ${unknown.join(", ")}`);
  }
  return { values, repeated };
}

function ungrouped(parsed: object): readonly (readonly [string, unknown])[] {
  return Object.entries(parsed).flatMap(([key, value]) => {
    const members = groups.get(key);
    const isGroup = members && typeof value === "object" && value !== null && !Array.isArray(value);
    if (!isGroup) return [[key, value] as const];
    // A name that the group does not have is reported like any other.
    return Object.entries(value).map(
      ([name, one]) => [members.includes(name) ? name : `${key}.${name}`, one] as const,
    );
  });
}

function checkKind(
  option: DaemonOption,
  key: string,
  value: unknown,
  fail: (reason: string) => Error,
): OptionValue {
  const wrong = (one = value, type: string = goTypes[option.kind]) =>
    fail(`json: cannot unmarshal ${jsonKind(one)} into Go struct field Config.${key} of type ${type}`);
  switch (option.kind) {
    case "bool":
      if (typeof value !== "boolean") throw wrong();
      return value;
    case "int":
      if (typeof value !== "number" || !Number.isInteger(value)) throw wrong();
      return value;
    case "list": {
      if (typeof value === "string") return [value];
      if (option.flag === "default-network-opt") return networkOptionTexts(value) ?? raise(wrong());
      if (!Array.isArray(value)) throw wrong();
      return value.map((entry: unknown) => {
        if (typeof entry === "string") return entry;
        const isPool = option.flag === "default-address-pool" && jsonKind(entry) === "object";
        if (!isPool) throw wrong(entry, "string");
        return poolText(entry as object);
      });
    }
    case "map":
    case "object":
      if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong();
      for (const one of option.flag === "log-opt" ? Object.values(value) : [])
        if (typeof one === "object") throw wrong(one, "string");
      return value as Readonly<Record<string, unknown>>;
    default:
      // Sizes are numbers of bytes, too (units.BytesSize).
      if (typeof value === "number" && option.flag === "default-shm-size") return String(value);
      if (typeof value !== "string") throw wrong();
      return value;
  }
}

/** As Go's decoder names what it found and what it wanted. */
const goTypes: Readonly<Record<DaemonOption["kind"], string>> = {
  string: "string",
  bool: "bool",
  int: "int",
  list: "[]string",
  map: "map[string]string",
  object: "map[string]interface {}",
};

function raise(error: Error): never {
  throw error;
}

/** default-network-opts are {"driver": {"option": "value"}} in the file and "driver=option=value" on the command line. */
function networkOptionTexts(value: unknown): readonly string[] | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const drivers = Object.entries(value).map(([driver, options]) => [driver, options ?? {}] as const);
  if (drivers.some(([, options]) => jsonKind(options) !== "object")) return undefined;
  return drivers.flatMap(([driver, options]) =>
    Object.entries(options as object).map(([name, one]) => `${driver}=${name}=${String(one)}`),
  );
}

/** default-address-pools are objects in the file and "base=…,size=…" on the command line. */
function poolText(entry: object): string {
  return Object.entries(entry)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(",");
}

/** One value from both places; what is given twice is refused, as dockerd does. */
export function mergeValues(path: string, flags: OptionValues, file: OptionValues): OptionValues {
  const conflicts: string[] = [];
  for (const [flag, fromFile] of file) {
    const option = byFlag.get(flag);
    // Lists in both places are a conflict, too; only maps of log options are merged.
    if (!flags.has(flag) || option?.flag === "log-opt") continue;
    const key = option ? (fileKey(option) ?? flag) : flag;
    conflicts.push(`${key}: (from flag: ${show(flags.get(flag))}, from file: ${show(fromFile)})`);
  }
  if (conflicts.length > 0) {
    throw invalid(
      `unable to configure the Docker daemon with file ${path}: the following directives are specified both as a flag and in the configuration file: ${conflicts.join(", ")}`,
    );
  }
  return new Map([...file, ...flags]);
}

/** As Go prints the value. */
function show(value: OptionValue | undefined): string {
  if (Array.isArray(value)) return `[${value.join(" ")}]`;
  if (typeof value === "object") {
    return `map[${Object.entries(value)
      .map(([key, entry]) => `${key}:${String(entry)}`)
      .join(" ")}]`;
  }
  return String(value);
}
