import { messageOf, TugError } from "../lib/errors.ts";
import type { Database } from "./database.ts";

/** Where a value stands in a database. */
export interface RecordAt {
  readonly table: string;
  readonly column: string;
  /** Column and value of the row's primary key. */
  readonly key: readonly [column: string, value: string];
}

/** A value that is not what the daemon writes there. */
export interface UnreadableRecord extends RecordAt {
  readonly file: string;
  readonly problem: string;
}

export interface UnreadableListener {
  /** Once for each. */
  noticed(record: UnreadableRecord): void;
  repaired(record: UnreadableRecord): void;
}

function nameOf({ file, table, column, key }: RecordAt & { readonly file: string }): string {
  return [file, table, column, ...key].join("\0");
}

/**
 * Rows whose text was damaged: one of them must not take the others along. A store leaves such a row out, or does without the value, and never
 * changes or removes it, nor what belongs to it; somebody who repairs it has everything back after the next start of the daemon.
 */
export class UnreadableRecords {
  readonly #found = new Map<string, UnreadableRecord>();
  readonly #told: UnreadableListener | undefined;

  constructor(told?: UnreadableListener) {
    this.#told = told;
  }

  list(): readonly UnreadableRecord[] {
    return [...this.#found.values()];
  }

  /** What `parse` makes of the value; undefined, and noted, where it throws. */
  read<T>(db: Database, at: RecordAt, parse: () => T): T | undefined {
    try {
      return parse();
    } catch (error) {
      const record = { ...at, file: db.filename, problem: messageOf(error) };
      const name = nameOf(record);
      if (!this.#found.has(name)) {
        this.#found.set(name, record);
        this.#told?.noticed(record);
      }
      return undefined;
    }
  }

  /** The store had the value elsewhere, and has written it again. */
  repaired(db: Database, at: RecordAt): void {
    const name = nameOf({ ...at, file: db.filename });
    const record = this.#found.get(name);
    this.#found.delete(name);
    if (record) this.#told?.repaired(record);
  }
}

/** The object that a store wrote as JSON, with at least these fields; throws data-loss. */
export function readObject<T extends object>(text: string, fields: readonly (keyof T & string)[] = []): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TugError("data-loss", messageOf(cause), { cause });
  }
  if (typeof value !== "object" || value === null) throw new TugError("data-loss", "it is no JSON object");
  const missing = fields.find((field) => (value as Partial<T>)[field] == null);
  if (missing !== undefined) throw new TugError("data-loss", `it has no ${JSON.stringify(missing)}`);
  return value as T;
}

/** What to do about one; the daemon must not run meanwhile, as it has the tables in memory. */
export function remedyOf({ file, table, column, key: [name, value] }: UnreadableRecord): string {
  const where = `WHERE ${name} = '${value.replaceAll("'", "''")}'`;
  return `the row is left as it is: stop the daemon and look at it with \`sqlite3 ${file} "SELECT ${column} FROM ${table} ${where}"\`; put it right with UPDATE, or give it up with \`DELETE FROM ${table} ${where}\``;
}
