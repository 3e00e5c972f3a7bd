import { parseBoolean } from "../../base/lib/boolean.ts";
import { parseCsv } from "../../base/lib/csv.ts";
import { invalid } from "../../base/lib/errors.ts";

export { parseBoolean, parseCsv };

/**
 * A flag as data: what help shows and how a value is taken. `set` folds one occurrence into the value so far, and throws
 * an error whose text follows `invalid argument "x" for "--flag" flag: `.
 */
export interface Flag<T> {
  /** The value's type name in help ("" for switches). */
  readonly kind: string;
  readonly short?: string | undefined;
  readonly help: string;
  readonly initial: T;
  /** Used when the flag stands without a value (switches). */
  readonly bare?: string | undefined;
  readonly hidden?: boolean;
  /** Other names that set the same value, not shown in help. */
  readonly aliases?: readonly string[];
  /** Names among them whose use is announced as deprecated, with the advice. */
  readonly deprecated?: Readonly<Record<string, string>>;
  /** Default as help shows it, when worth showing. */
  readonly shown?: string | undefined;
  set(text: string, current: T, first: boolean): T;
}

export type Flags = Readonly<Record<string, Flag<unknown>>>;

/** The values a flag table yields. */
export type Values<F extends Flags> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never };

export interface FlagOptions {
  readonly hidden?: boolean;
  readonly aliases?: readonly string[];
  readonly deprecated?: Readonly<Record<string, string>>;
  /** Overrides the type name that help shows. */
  readonly kind?: string;
  readonly shown?: string;
}

/** Go's strconv.ParseInt/ParseUint with base 0. */
export function parseInteger(
  text: string,
  call: "ParseInt" | "ParseUint" | "Atoi" = "ParseInt",
  bits = 64,
): number {
  const match = /^([+-]?)(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|[1-9][0-9]*|0)$/.exec(text);
  const fail = (why: string) => invalid(`strconv.${call}: parsing ${JSON.stringify(text)}: ${why}`);
  if (!match || (call === "ParseUint" && match[1] !== "")) throw fail("invalid syntax");
  const digits = match[2] ?? "0";
  const value =
    BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits) * (match[1] === "-" ? -1n : 1n);
  const limit = call === "ParseUint" ? 1n << BigInt(bits) : 1n << BigInt(bits - 1);
  if (value >= limit || value < (call === "ParseUint" ? 0n : -limit)) throw fail("value out of range");
  return Number(value);
}

/** A switch: `--rm`, `--rm=false`. */
export function bool(
  short: string,
  help: string,
  options: FlagOptions & { readonly initial?: boolean } = {},
): Flag<boolean> {
  const { initial = false, ...rest } = options;
  return {
    kind: "",
    short,
    help,
    initial,
    bare: "true",
    shown: initial ? "true" : undefined,
    ...rest,
    set: parseBoolean,
  };
}

export function text(
  short: string,
  help: string,
  options: FlagOptions & { readonly initial?: string } = {},
): Flag<string> {
  const { initial = "", ...rest } = options;
  const shown = initial === "" ? undefined : JSON.stringify(initial);
  return { kind: "string", short, help, initial, shown, ...rest, set: (value) => value };
}

export function integer(
  short: string,
  help: string,
  options: FlagOptions & { readonly initial?: number } = {},
): Flag<number> {
  const { initial = 0, ...rest } = options;
  const shown = initial === 0 ? undefined : String(initial);
  return { kind: "int", short, help, initial, shown, ...rest, set: (value) => parseInteger(value) };
}

export function unsigned(short: string, help: string, bits = 64, options: FlagOptions = {}): Flag<number> {
  const kind = bits === 64 ? "uint" : `uint${bits}`;
  return {
    kind,
    short,
    help,
    initial: 0,
    ...options,
    set: (value) => parseInteger(value, "ParseUint", bits),
  };
}

/** Repeatable; each value is checked, and perhaps rewritten, by `check`. */
export function list(
  short: string,
  help: string,
  check: (value: string) => string = (value) => value,
  options: FlagOptions = {},
): Flag<readonly string[]> {
  return {
    kind: "list",
    short,
    help,
    initial: [],
    ...options,
    set: (value, current) => [...current, check(value)],
  };
}

/** Repeatable and comma-separated (CSV with quotes), as pflag's string slice. */
export function strings(short: string, help: string, options: FlagOptions = {}): Flag<readonly string[]> {
  return {
    kind: "strings",
    short,
    help,
    initial: [],
    ...options,
    set: (value, current) => [...current, ...parseCsv(value)],
  };
}

/** Repeatable `key=value`. */
export function map(
  short: string,
  help: string,
  check: (value: string) => string = (value) => value,
  options: FlagOptions = {},
): Flag<Readonly<Record<string, string>>> {
  return {
    kind: "map",
    short,
    help,
    initial: {},
    shown: "map[]",
    ...options,
    set: (value, current) => {
      const [key, rest] = splitPair(check(value));
      return { ...current, [key]: rest ?? "" };
    },
  };
}

/** A flag with a parser of its own. */
export function custom<T>(
  kind: string,
  short: string,
  help: string,
  initial: T,
  set: (text: string, current: T, first: boolean) => T,
  options: FlagOptions = {},
): Flag<T> {
  return { kind, short, help, initial, ...options, set };
}

/** "a=b=c" -> ["a", "b=c"]; without "=" the second is undefined. */
export function splitPair(pair: string): [string, string | undefined] {
  const at = pair.indexOf("=");
  return at < 0 ? [pair, undefined] : [pair.slice(0, at), pair.slice(at + 1)];
}
