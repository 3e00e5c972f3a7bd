import { readFileSync } from "node:fs";
import { invalid, messageOf, TugError } from "../../../base/lib/errors.ts";
import { errnoOf } from "../../../base/lib/storage-error.ts";

export type Table = Readonly<Record<string, unknown>>;

/** Reads a TOML file; undefined where there is none. Throws invalid-argument that names the file. */
export function readToml(path: string): Table | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return undefined;
    throw new TugError("internal", `failed to read ${path}: ${messageOf(error)}`, { cause: error });
  }
  try {
    return Bun.TOML.parse(text) as Table;
  } catch (error) {
    throw invalid(`failed to decode ${path}: ${messageOf(error)}`, error);
  }
}

/** Typed look at a table's members; a member of another type is invalid-argument and named with its file. */
export class TomlTable {
  readonly #table: Table;
  readonly #where: string;
  constructor(table: Table, where: string) {
    this.#table = table;
    this.#where = where;
  }

  raw(key: string): unknown {
    return this.#table[key];
  }

  wrong(key: string, want: string): TugError {
    return invalid(`${this.#where}: ${key} must be ${want}, not ${JSON.stringify(this.#table[key])}`);
  }

  text(key: string): string {
    const value = this.#table[key];
    if (value === undefined) return "";
    if (typeof value !== "string") throw this.wrong(key, "a string");
    return value;
  }

  truth(key: string): boolean | undefined {
    const value = this.#table[key];
    if (value === undefined || typeof value === "boolean") return value;
    throw this.wrong(key, "true or false");
  }

  /** A list of strings; a bare string is a list of one. */
  texts(key: string): readonly string[] {
    const value = this.#table[key];
    if (value === undefined) return [];
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    const isText = (each: unknown): each is string => typeof each === "string";
    if (!list.every(isText)) throw this.wrong(key, "a list of strings");
    return list;
  }

  keys(): readonly string[] {
    return Object.keys(this.#table);
  }

  /** The table of a key; an empty one where there is none. */
  child(key: string): TomlTable {
    return this.#child(key, this.#table[key] ?? {});
  }

  /** Named tables below a key, in the order of the file. */
  children(key: string): readonly (readonly [name: string, table: TomlTable])[] {
    const parent = this.child(key);
    return parent.keys().map((name) => [name, parent.child(name)]);
  }

  /** An array of tables. */
  tables(key: string): readonly TomlTable[] {
    const value = this.#table[key];
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw this.wrong(key, `an array of tables ([[${key}]])`);
    return value.map((child: unknown) => this.#child(key, child));
  }

  #child(name: string, value: unknown): TomlTable {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw invalid(`${this.#where}: ${name} must be a table`);
    }
    return new TomlTable(value as Table, this.#where);
  }
}
