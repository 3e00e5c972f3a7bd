import { invalid } from "../base/lib/errors.ts";
import { isRecord } from "./decode/shape.ts";

/** Filters as the wire has them: {"label": ["a=b"], "status": ["running"]}; validated by the backend. */
export type Filters = Readonly<Record<string, readonly string[]>>;

/**
 * Both encodings of `filters`: {"label":{"a":true}} of today's clients and {"label":["a"]} of older ones. In the first the
 * booleans mean nothing: a key is there or not.
 */
export function parseFilters(text: string): Filters {
  if (text === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid("invalid filter", error);
  }
  if (value === null) return {};
  if (!isRecord(value)) throw invalid("invalid filter");
  // A map first: "__proto__" is a name like any other.
  const filters = new Map<string, readonly string[]>();
  for (const [name, terms] of Object.entries(value)) {
    if (terms === null) filters.set(name, []);
    else if (Array.isArray(terms) && terms.every((term) => typeof term === "string"))
      filters.set(name, terms);
    else if (isRecord(terms) && Object.values(terms).every((v) => typeof v === "boolean"))
      filters.set(name, Object.keys(terms));
    else throw invalid("invalid filter");
  }
  return Object.fromEntries(filters);
}
