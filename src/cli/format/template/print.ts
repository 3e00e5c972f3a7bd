import { significant } from "../units.ts";
import { zeros } from "./shapes.ts";

/** Looks up the Go struct an object stands for: its field names in order; undefined for a map. */
export type ShapeOf = (value: object) => readonly string[] | undefined;

/** Go's %v of a value that came from JSON or from a formatting context. */
export function goString(value: unknown, shapeOf?: ShapeOf): string {
  if (value === null || value === undefined) return "<nil>";
  if (typeof value === "string") return value;
  if (typeof value === "number") return goNumber(value);
  if (Array.isArray(value)) return `[${value.map((item) => goString(item, shapeOf)).join(" ")}]`;
  if (typeof value === "object") {
    const fields = shapeOf?.(value);
    const record = value as Readonly<Record<string, unknown>>;
    if (fields)
      return `{${fields.map((field) => (field in record ? goString(record[field], shapeOf) : (zeros[field] ?? ""))).join(" ")}}`;
    const pairs = Object.keys(record)
      .sort()
      .map((key) => `${key}:${goString(record[key], shapeOf)}`);
    return `map[${pairs.join(" ")}]`;
  }
  return String(value);
}

function goNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e21) return BigInt(value).toString();
  return String(value).replace(/e([+-])(\d)$/, "e$10$2");
}

/** fmt, print.go: tooLarge. */
const widest = 1_000_000;

/** Go's fmt.Sprintf for the verbs people use in formats. */
export function sprintf(format: string, args: readonly unknown[], shapeOf?: ShapeOf): string {
  let used = 0;
  let out = format.replace(
    /%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d+)?)?([a-zA-Z%])/g,
    (
      spec: string,
      flags: string,
      widthText: string | undefined,
      precisionText: string | undefined,
      verb: string,
    ) => {
      if (verb === "%") return "%";
      const take = (text: string | undefined) =>
        text === "*" ? Number(args[used++]) : text === undefined ? undefined : Number(text);
      const width = take(widthText);
      const precision = spec.includes(".") ? (take(precisionText) ?? 0) : undefined;
      // As Go's fmt: a column of a million is a mistake, and one of a billion an attack.
      if (!(Math.abs(width ?? 0) <= widest)) return widthText === "*" ? "%!(BADWIDTH)" : "%!(NOVERB)";
      if (!(Math.abs(precision ?? 0) <= widest)) return precisionText === "*" ? "%!(BADPREC)" : "%!(NOVERB)";
      if (used >= args.length) return `%!${verb}(MISSING)`;
      const value = args[used++];
      const body = formatVerb(verb, flags, precision, value, shapeOf);
      if (width === undefined || body.length >= width) return body;
      if (flags.includes("-")) return body.padEnd(width);
      if (!flags.includes("0")) return body.padStart(width);
      const sign = /^[+-]/.exec(body)?.[0] ?? "";
      return sign + body.slice(sign.length).padStart(width - sign.length, "0");
    },
  );
  if (used < args.length) {
    out += `%!(EXTRA ${args
      .slice(used)
      .map((arg) => `${goType(arg)}=${goString(arg, shapeOf)}`)
      .join(", ")})`;
  }
  return out;
}

/** U+FFFD for what is no character, as Go prints it. */
function character(code: number): string {
  return Number.isInteger(code) && code >= 0 && code <= 0x10ffff ? String.fromCodePoint(code) : "\ufffd";
}

/** JavaScript prints at most a hundred digits. */
function digits(precision: number | undefined): number {
  return Math.max(0, Math.min(100, precision ?? 6));
}

function formatVerb(
  verb: string,
  flags: string,
  precision: number | undefined,
  value: unknown,
  shapeOf?: ShapeOf,
): string {
  const plus = (text: string) => (flags.includes("+") && !text.startsWith("-") ? `+${text}` : text);
  const wrong = () => `%!${verb}(${goType(value)}=${goString(value, shapeOf)})`;
  switch (verb) {
    case "v":
      return typeof value === "number" ? plus(goString(value)) : goString(value, shapeOf);
    case "s": {
      if (typeof value === "number" || typeof value === "boolean") return wrong();
      const text = value === null || value === undefined ? "%!s(<nil>)" : goString(value, shapeOf);
      return precision === undefined ? text : [...text].slice(0, precision).join("");
    }
    case "q":
      return typeof value === "string"
        ? JSON.stringify(value)
        : typeof value === "number"
          ? `'${character(value)}'`
          : wrong();
    case "d":
      return typeof value === "number" ? plus(goString(Math.trunc(value))) : wrong();
    case "t":
      return typeof value === "boolean" ? String(value) : wrong();
    case "x":
    case "X": {
      if (typeof value !== "number" && typeof value !== "string") return wrong();
      const hex = typeof value === "number" ? value.toString(16) : Buffer.from(value).toString("hex");
      return (flags.includes("#") ? "0x" : "") + (verb === "X" ? hex.toUpperCase() : hex);
    }
    case "o":
    case "b":
      return typeof value === "number" ? value.toString(verb === "o" ? 8 : 2) : wrong();
    case "c":
      return typeof value === "number" ? character(value) : wrong();
    case "f":
    case "F":
      return typeof value === "number" ? plus(value.toFixed(digits(precision))) : wrong();
    case "e":
      return typeof value === "number"
        ? plus(value.toExponential(digits(precision)).replace(/e([+-])(\d)$/, "e$10$2"))
        : wrong();
    case "g":
      return typeof value === "number"
        ? plus(precision === undefined ? goString(value) : significant(value, Math.max(1, digits(precision))))
        : wrong();
    case "T":
      return goType(value);
    default:
      return wrong();
  }
}

export function goType(value: unknown): string {
  if (value === null || value === undefined) return "<nil>";
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float64";
  return Array.isArray(value) ? "[]interface {}" : "map[string]interface {}";
}
