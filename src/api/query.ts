import { invalid } from "../base/lib/errors.ts";
import { parseTimestamp } from "../base/lib/timestamp.ts";
import type { Filters } from "./filters.ts";
import { parseFilters } from "./filters.ts";

/** The query string by Docker's rules, which are those of its Go code rather than of the API document. */
export class Query {
  readonly #values: URLSearchParams;

  constructor(search: string) {
    const broken = /%(?![0-9a-fA-F]{2}).{0,2}/.exec(search);
    if (broken) throw invalid(`invalid URL escape ${JSON.stringify(broken[0])}`);
    this.#values = new URLSearchParams(search);
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The first value, "" when absent. */
  text(name: string): string {
    return this.#values.get(name) ?? "";
  }

  /** The first value, undefined when absent or empty. */
  optional(name: string): string | undefined {
    return this.#values.get(name) || undefined;
  }

  all(name: string): readonly string[] {
    return this.#values.getAll(name);
  }

  /** httputils.BoolValue: everything but "", 0, no, false and none is true. */
  bool(name: string, fallback = false): boolean {
    if (!this.#values.has(name)) return fallback;
    return !["", "0", "no", "false", "none"].includes(this.text(name).trim().toLowerCase());
  }

  /** An integer; undefined when absent; Go's error text when it is none. */
  integer(name: string): number | undefined {
    const text = this.text(name);
    if (text === "") return undefined;
    if (!/^[+-]?\d{1,18}$/.test(text)) {
      throw invalid(`strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
    }
    return Number(text);
  }

  /** Nanoseconds since the epoch; undefined when absent or "0". */
  timestamp(name: string, now: number): bigint | undefined {
    const text = this.text(name);
    if (text === "" || text === "0") return undefined;
    const time = parseTimestamp(text, now);
    if (time === undefined) {
      throw invalid(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
    }
    return time;
  }

  filters(): Filters {
    return parseFilters(this.text("filters"));
  }
}
