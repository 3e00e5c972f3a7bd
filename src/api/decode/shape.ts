import { invalid } from "../../base/lib/errors.ts";
import { jsonKind } from "../../base/lib/json-kind.ts";

/**
 * Reading request bodies as Go's encoding/json reads them into a struct: names match in any case, unknown names are dropped,
 * null leaves a field out, and a wrong type is refused with Go's message.
 */
export interface Shape<T> {
  /** Go's name of the type, for messages. */
  readonly type: string;
  /** `value` is never null here. `field` is the path for messages, as "CreateRequest.HostConfig.Memory". */
  read(value: unknown, field: string): T;
}

/** Reads a whole body. `name` is the Go struct's. */
export function decode<T>(shape: Shape<T>, value: unknown, name: string): T {
  return shape.read(value, name);
}

function mismatch(value: unknown, field: string, type: string): Error {
  const dot = field.includes(".");
  const fraction = typeof value === "number" && !Number.isInteger(value) && /int/.test(type);
  const what = fraction ? `number ${value}` : jsonKind(value);
  const where = dot ? `Go struct field ${field} of type` : "Go value of type";
  return invalid(`invalid JSON: json: cannot unmarshal ${what} into ${where} ${type}`);
}

export const string: Shape<string> = {
  type: "string",
  read(value, field) {
    if (typeof value !== "string") throw mismatch(value, field, this.type);
    return value;
  },
};

export const bool: Shape<boolean> = {
  type: "bool",
  read(value, field) {
    if (typeof value !== "boolean") throw mismatch(value, field, this.type);
    return value;
  },
};

export const int: Shape<number> = integer("int64");
export const uint: Shape<number> = integer("uint64", 0);
export const uint16: Shape<number> = integer("uint16", 0, 65_535);

function integer(type: string, min?: number, max?: number): Shape<number> {
  return {
    type,
    read(value, field) {
      if (typeof value !== "number") throw mismatch(value, field, type);
      if (
        !Number.isInteger(value) ||
        (min !== undefined && value < min) ||
        (max !== undefined && value > max)
      ) {
        throw invalid(
          `invalid JSON: json: cannot unmarshal number ${value} into Go struct field ${field} of type ${type}`,
        );
      }
      return value;
    },
  };
}

/** One of a few words; an empty text stands for the first, which is the default. */
export function oneOf<T extends string>(first: T, ...others: readonly T[]): Shape<T> {
  const words = [first, ...others];
  return {
    type: "string",
    read(value, field) {
      const text = string.read(value, field);
      if (text === "") return first;
      const word = words.find((known) => known === text);
      if (word !== undefined) return word;
      throw invalid(`invalid ${field}: "${text}" (must be one of ${words.join(", ")})`);
    },
  };
}

/** `struct{}`: an object whose content does not matter. */
export const emptyObject: Shape<Record<string, never>> = {
  type: "struct {}",
  read(value, field) {
    if (!isRecord(value)) throw mismatch(value, field, this.type);
    return {};
  },
};

export function list<T>(of: Shape<T>): Shape<T[]> {
  const type = `[]${of.type}`;
  return {
    type,
    read(value, field) {
      if (!Array.isArray(value)) throw mismatch(value, field, type);
      const result: T[] = [];
      for (const item of value) if (item !== null) result.push(of.read(item, field));
      return result;
    },
  };
}

/** Docker's StrSlice: one string stands for a list of one. */
export const words: Shape<string[]> = {
  type: "[]string",
  read: (value, field) => (typeof value === "string" ? [value] : strings.read(value, field)),
};

export const strings: Shape<string[]> = list(string);

export function map<T>(of: Shape<T>): Shape<Record<string, T>> {
  const type = `map[string]${of.type}`;
  return {
    type,
    read(value, field) {
      if (!isRecord(value)) throw mismatch(value, field, type);
      const result: Record<string, T> = Object.create(null) as Record<string, T>;
      for (const [key, item] of Object.entries(value)) if (item !== null) result[key] = of.read(item, field);
      return result;
    },
  };
}

/** A map that keeps its nulls, as PortMap's {"80/tcp": null}. */
export function nullableMap<T>(of: Shape<T>): Shape<Record<string, T | null>> {
  const type = `map[string]${of.type}`;
  return {
    type,
    read(value, field) {
      if (!isRecord(value)) throw mismatch(value, field, type);
      const result: Record<string, T | null> = Object.create(null) as Record<string, T | null>;
      for (const [key, item] of Object.entries(value))
        result[key] = item === null ? null : of.read(item, field);
      return result;
    },
  };
}

type Fields<T> = { readonly [K in keyof T]-?: Shape<Exclude<T[K], undefined>> | Shape<NonNullable<T[K]>> };

/** An object with these fields, each optional. */
export function object<T extends object>(fields: Fields<T>): Shape<T> {
  const shapes = fields as Readonly<Record<string, Shape<unknown>>>;
  const names = new Map(Object.keys(shapes).map((name) => [name.toLowerCase(), name]));
  return {
    type: "struct",
    read(value, field) {
      if (!isRecord(value)) throw mismatch(value, field, this.type);
      const result: Record<string, unknown> = {};
      for (const [key, item] of Object.entries(value)) {
        const name = Object.hasOwn(shapes, key) ? key : names.get(key.toLowerCase());
        const shape = name === undefined ? undefined : shapes[name];
        if (name === undefined || !shape || item === null || item === undefined) continue;
        result[name] = shape.read(item, `${field}.${name}`);
      }
      return result as T;
    },
  };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
