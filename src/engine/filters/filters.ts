import { invalid } from "../../base/lib/errors.ts";
import { parseTimestamp } from "../../base/lib/timestamp.ts";

/** Filters as the wire has them: {"label": ["a=b"], "status": ["running"]}. */
export type WireFilters = Readonly<Record<string, readonly string[]>>;

/**
 * Filters of one request, checked against the names its endpoint knows. Matching follows Docker: a name that was not given
 * matches everything; several values of a name are alternatives, except labels, which must all hold.
 *
 *     const filters = Filters.parse(wire, ["name", "label", "dangling"]);
 *     filters.match("name", volume.name) && filters.matchLabels("label", volume.labels)
 */
export class Filters {
  readonly #fields: ReadonlyMap<string, readonly string[]>;

  private constructor(fields: ReadonlyMap<string, readonly string[]>) {
    this.#fields = fields;
  }

  /** Throws invalid-argument "invalid filter 'x'" for a name outside `accepted`; without `accepted` every name passes. */
  static parse(wire: WireFilters, accepted?: readonly string[]): Filters {
    const fields = new Map<string, readonly string[]>();
    for (const [name, values] of Object.entries(wire)) {
      if (accepted && !accepted.includes(name)) throw invalid(`invalid filter '${name}'`);
      fields.set(name, values);
    }
    return new Filters(fields);
  }

  has(name: string): boolean {
    return this.#fields.has(name);
  }

  get(name: string): readonly string[] {
    return this.#fields.get(name) ?? [];
  }

  /** Throws "invalid filter 'name=[values]'" unless all values agree on true or on false. */
  bool(name: string, fallback: boolean): boolean {
    const values = this.#fields.get(name);
    if (values === undefined) return fallback;
    if (values.length === 0) throw invalid(`invalid filter '${name}'`);
    const no = values.includes("0") || values.includes("false");
    const yes = values.includes("1") || values.includes("true");
    if (no === yes) throw invalid(`invalid filter '${name}=[${values.join(" ")}]'`);
    return yes;
  }

  /** One of the values is exactly `source`. */
  exact(name: string, source: string): boolean {
    const values = this.get(name);
    return values.length === 0 || values.includes(source);
  }

  /** One of the values is a prefix of `source`. */
  prefix(name: string, source: string): boolean {
    const values = this.get(name);
    return values.length === 0 || values.some((value) => source.startsWith(value));
  }

  /** One of the values is `source` or, as a regular expression, is found in it. */
  match(name: string, source: string): boolean {
    const values = this.get(name);
    return values.length === 0 || values.some((value) => source === value || patternFinds(value, source));
  }

  /** Every "key" or "key=value" holds. */
  matchLabels(name: string, labels: Readonly<Record<string, string>>): boolean {
    return this.get(name).every((wanted) => labelHolds(wanted, labels));
  }

  /** For `label!`: none of the given labels holds. */
  excludesLabels(name: string, labels: Readonly<Record<string, string>>): boolean {
    return !this.get(name).some((wanted) => labelHolds(wanted, labels));
  }

  /** A single point in time in nanoseconds (a prune's `until`); throws Docker's text for several or malformed values. */
  timestamp(name: string, nowMs: number): bigint | undefined {
    const values = this.#fields.get(name);
    if (values === undefined || values.length === 0) return undefined;
    if (values.length > 1) throw invalid(`more than one ${name} filter specified`);
    const text = values[0] ?? "";
    const at = parseTimestamp(text, nowMs);
    if (at === undefined) throw invalid(`failed to parse value as time or duration: ${JSON.stringify(text)}`);
    return at;
  }
}

function labelHolds(wanted: string, labels: Readonly<Record<string, string>>): boolean {
  const at = wanted.indexOf("=");
  const key = at < 0 ? wanted : wanted.slice(0, at);
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  return value !== undefined && (at < 0 || value === wanted.slice(at + 1));
}

/** Docker ignores a pattern that does not compile. Patterns are short and come from the daemon's own users. */
function patternFinds(pattern: string, source: string): boolean {
  try {
    return new RegExp(pattern).test(source);
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
