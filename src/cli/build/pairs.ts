import { parseBoolean } from "../../base/lib/boolean.ts";
import { parseCsv, writeCsv } from "../../base/lib/csv.ts";
import { invalid } from "../../base/lib/errors.ts";
import { splitPair } from "../flags/flag.ts";

/** CSV of "key=value", as --output, --cache-to and their like take it; keys in lower case. */
export function csvPairs(text: string): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const field of parseCsv(text)) {
    const [key, value] = splitPair(field);
    if (value === undefined) throw invalid(`invalid value ${field}`);
    pairs[key.trim().toLowerCase()] = value;
  }
  return pairs;
}

/** "key=value" pairs as CSV again, in the order of their keys; fields that need it are quoted. */
export function pairsCsv(pairs: Readonly<Record<string, string>>): string {
  const keys = Object.keys(pairs).sort();
  return writeCsv(keys.map((key) => `${key}=${pairs[key]}`));
}

/** --label and --build-arg: the last of a key wins. A name alone is `alone(name)`; undefined leaves it out. */
export function keyValues(
  values: readonly string[],
  alone: (name: string) => string | undefined,
): Record<string, string> {
  const out: Record<string, string> = {};
  for (const text of values) {
    const [key, value] = splitPair(text);
    if (key === "") throw invalid(`invalid key-value pair ${JSON.stringify(text)}: empty key`);
    const taken = value ?? alone(key);
    if (taken !== undefined) out[key] = taken;
  }
  return out;
}

/** Go's strconv.ParseBool where anything else counts as `otherwise`. */
export function booleanOr(text: string | undefined, otherwise: boolean): boolean {
  try {
    return text === undefined ? otherwise : parseBoolean(text);
  } catch {
    return otherwise; // not a boolean: as if it had not been said
  }
}
