import { invalid } from "../../../base/lib/errors.ts";
import { goString, goType, type ShapeOf, sprintf } from "./print.ts";

export type TemplateFunction = (...args: unknown[]) => unknown;

/** Go's truth: false, 0, "", nil and empty collections are false. */
export function isTrue(value: unknown): boolean {
  if (value === null || value === undefined) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object") return Object.keys(value).length > 0;
  return Boolean(value);
}

const need = (name: string, args: readonly unknown[], count: number) => {
  if (args.length !== count) {
    throw invalid(`wrong number of args for ${name}: want ${count} got ${args.length}`);
  }
};

function textArg(value: unknown): string {
  if (typeof value === "string") return value;
  throw invalid(`wrong type for value; expected string; got ${goType(value)}`);
}

/** JSON as Docker's `json` function writes it; objects with computed fields list them by name. */
export function toJson(value: unknown): string {
  return JSON.stringify(value ?? null, (_, item: unknown) => (typeof item === "function" ? undefined : item));
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  throw invalid("incompatible types for comparison");
}

function equal(a: unknown, b: unknown): boolean {
  const basic = (value: unknown) => value === null || value === undefined || typeof value !== "object";
  if (!basic(a) || !basic(b)) throw invalid("non-comparable type");
  if (a === null || a === undefined) return b === null || b === undefined;
  if (typeof a !== typeof b && b !== null && b !== undefined)
    throw invalid("incompatible types for comparison");
  return a === b;
}

function lengthOf(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (typeof value === "object" && value !== null) return Object.keys(value).length;
  if (value === null || value === undefined) throw invalid("len of nil pointer");
  throw invalid(`len of type ${goType(value)}`);
}

function indexInto(value: unknown, keys: readonly unknown[]): unknown {
  let item: unknown = value;
  for (const key of keys) {
    if (item === null || item === undefined) throw invalid("index of untyped nil");
    if (Array.isArray(item) || typeof item === "string") {
      if (typeof key !== "number") throw invalid(`cannot index slice/array with type ${goType(key)}`);
      if (key < 0 || key >= item.length) throw invalid(`index out of range: ${key}`);
      item = typeof item === "string" ? item.charCodeAt(key) : item[key];
    } else if (typeof item === "object") item = (item as Record<string, unknown>)[String(key)];
    else throw invalid(`can't index item of type ${goType(item)}`);
  }
  return item;
}

function sliceOf(value: unknown, bounds: readonly unknown[]): unknown {
  if (typeof value !== "string" && !Array.isArray(value))
    throw invalid(`can't slice item of type ${goType(value)}`);
  const [from = 0, to = value.length] = bounds.map(Number);
  if (from < 0 || to > value.length || from > to) throw invalid(`index out of range: ${to}`);
  return value.slice(from, to);
}

/** Joins with spaces between operands when neither side is a string, as fmt.Sprint does. */
function sprint(args: readonly unknown[], shapeOf?: ShapeOf): string {
  return args
    .map((arg, at) => {
      const space = at > 0 && typeof arg !== "string" && typeof args[at - 1] !== "string";
      return (space ? " " : "") + goString(arg, shapeOf);
    })
    .join("");
}

/** The functions a format may call: Go's builtins and Docker's own. */
export function templateFunctions(shapeOf?: ShapeOf): ReadonlyMap<string, TemplateFunction> {
  const table: Record<string, TemplateFunction> = {
    not: (value) => !isTrue(value),
    len: lengthOf,
    index: (value, ...keys) => indexInto(value, keys),
    slice: (value, ...bounds) => sliceOf(value, bounds),
    print: (...args) => sprint(args, shapeOf),
    println: (...args) => `${args.map((arg) => goString(arg, shapeOf)).join(" ")}\n`,
    printf: (format, ...args) => sprintf(textArg(format), args, shapeOf),
    html: (...args) => Bun.escapeHTML(sprint(args, shapeOf)),
    js: (...args) => JSON.stringify(sprint(args, shapeOf)).slice(1, -1),
    urlquery: (...args) => encodeURIComponent(sprint(args, shapeOf)),
    eq: (first, ...others) => others.some((other) => equal(first, other)),
    ne: (a, b) => !equal(a, b),
    lt: (a, b) => compare(a, b) < 0,
    le: (a, b) => compare(a, b) <= 0,
    gt: (a, b) => compare(a, b) > 0,
    ge: (a, b) => compare(a, b) >= 0,
    json: toJson,
    split: (value, separator) => textArg(value).split(textArg(separator)),
    join: (items, separator) => {
      if (!Array.isArray(items))
        throw invalid(`wrong type for value; expected []string; got ${goType(items)}`);
      return items.map((item) => goString(item)).join(textArg(separator));
    },
    title: (value) =>
      textArg(value).replace(
        /(^|[\s])(\p{L})/gu,
        (_, before: string, letter: string) => before + letter.toUpperCase(),
      ),
    lower: (value) => textArg(value).toLowerCase(),
    upper: (value) => textArg(value).toUpperCase(),
    pad: (...args) => {
      need("pad", args, 3);
      const [value, before, after] = args;
      return textArg(value) === ""
        ? value
        : " ".repeat(Number(before)) + textArg(value) + " ".repeat(Number(after));
    },
    truncate: (...args) => {
      need("truncate", args, 2);
      return [...textArg(args[0])].slice(0, Number(args[1])).join("");
    },
  };
  return new Map(Object.entries(table));
}

/** `and` and `or` look at their operands only as far as needed. */
export const lazyFunctions: ReadonlySet<string> = new Set(["and", "or"]);

/** For the header row of a table every string function gives back its operand: the column's name. */
export function headerFunctions(): ReadonlyMap<string, TemplateFunction> {
  const table = new Map(templateFunctions());
  for (const name of ["json", "split", "join", "title", "lower", "upper", "pad", "truncate"])
    table.set(name, (value) => value);
  return table;
}
