import { readFileSync } from "node:fs";
import { invalid, messageOf } from "../../base/lib/errors.ts";
import { parseDuration } from "../../base/lib/timestamp.ts";
import { parseSize } from "../../core/logging/options.ts";

/** A part of the configuration file, read member by member; a member that nobody asked for is a mistake. */
export class Section {
  readonly #value: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #read = new Set<string>();
  constructor(value: unknown, path: string) {
    this.#path = path;
    if (value !== undefined && value !== null && (typeof value !== "object" || Array.isArray(value))) {
      throw invalid(`${path}: expected names with values below it`);
    }
    this.#value = (value ?? {}) as Readonly<Record<string, unknown>>;
  }

  has(key: string): boolean {
    return (this.#value[key] ?? undefined) !== undefined;
  }

  /** Where a member stands, for messages. */
  at(key: string): string {
    return `${this.#path}: ${key}`;
  }

  section(key: string): Section {
    return new Section(this.#take(key), this.at(key));
  }

  text(key: string): string | undefined {
    const value = this.#take(key);
    if (value === undefined || typeof value === "string") return value;
    if (typeof value === "number") return String(value);
    throw this.#wrong(key, "a text");
  }

  required(key: string): string {
    const value = this.text(key);
    if (value === undefined || value === "") throw invalid(`${this.at(key)} is missing`);
    return value;
  }

  /** An http or https URL. */
  url(key: string): string | undefined {
    const text = this.text(key);
    if (text === undefined || (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol))) return text;
    throw this.#wrong(key, "an http or https URL");
  }

  /** A secret in the file itself, or in another one that `<key>-file` names. */
  secret(key: string): string | undefined {
    const own = this.text(key);
    const path = this.text(`${key}-file`);
    if (path === undefined) return own;
    if (own !== undefined) throw invalid(`${this.at(key)} and ${key}-file exclude each other`);
    try {
      return readFileSync(path, "utf8").trim();
    } catch (error) {
      throw invalid(`${this.at(`${key}-file`)}: ${messageOf(error)}`, error);
    }
  }

  flag(key: string, otherwise: boolean): boolean {
    const value = this.#take(key);
    if (value === undefined) return otherwise;
    if (typeof value === "boolean") return value;
    throw this.#wrong(key, "true or false");
  }

  count(key: string, otherwise: number): number {
    const value = this.#take(key);
    if (value === undefined) return otherwise;
    if (typeof value === "number" && Number.isInteger(value) && value > 0) return value;
    throw this.#wrong(key, "a number above 0");
  }

  texts(key: string): readonly string[] {
    const value = this.#take(key);
    if (value === undefined) return [];
    if (typeof value === "string") return [value];
    if (Array.isArray(value) && value.every((each): each is string => typeof each === "string")) return value;
    throw this.#wrong(key, "a list of texts");
  }

  textMap(key: string): Readonly<Record<string, string>> {
    const value = this.section(key).#value;
    return Object.fromEntries(
      Object.entries(value).map(([name, each]) => {
        if (typeof each !== "string") throw invalid(`${this.at(key)}: ${name}: expected a text`);
        return [name, each];
      }),
    );
  }

  sections(key: string): readonly Section[] {
    const value = this.#take(key);
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw this.#wrong(key, "a list");
    return value.map((each: unknown, index) => new Section(each, `${this.at(key)}[${index}]`));
  }

  names(): readonly string[] {
    return Object.keys(this.#value);
  }

  /** "90s", "12h", "30d" in milliseconds; "0" and "never" are undefined. */
  duration(key: string, otherwise: number | undefined): number | undefined {
    const text = this.text(key);
    if (text === undefined) return otherwise;
    if (text === "0" || text === "never") return undefined;
    const days = /^(\d+)d$/.exec(text);
    const nanos = days ? BigInt(days[1] ?? 0) * 86_400_000_000_000n : parseDuration(text);
    if (nanos === undefined || nanos < 1_000_000n)
      throw this.#wrong(key, "a duration such as 90s, 12h or 30d");
    return Number(nanos / 1_000_000n);
  }

  /** "10GB", "512m" in bytes. */
  size(key: string): number {
    const size = parseSize(this.required(key));
    if (size === undefined) throw this.#wrong(key, "a size such as 512MB or 10GB");
    return size;
  }

  /** Call when everything was read: what is left is a name that means nothing. */
  end(): void {
    const unknown = Object.keys(this.#value).filter((key) => !this.#read.has(key));
    if (unknown.length === 0) return;
    throw invalid(
      `${this.#path}: there is no setting ${unknown.join(", ")} here; known are ${[...this.#read].join(", ")}`,
    );
  }

  #take(key: string): unknown {
    this.#read.add(key);
    return this.#value[key] ?? undefined;
  }

  #wrong(key: string, expected: string): Error {
    return invalid(`${this.at(key)}: expected ${expected}, got ${JSON.stringify(this.#value[key])}`);
  }
}
