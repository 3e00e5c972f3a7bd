import { TugError } from "../../lib/errors.ts";

/**
 * Reading untrusted JSON member by member. `null` counts as absent everywhere, as it does for the Go programs that write
 * these documents; a member of the wrong type is `data-loss` with its path.
 */
export type Fields = Readonly<Record<string, unknown>>;

export function malformed(what: string, cause?: unknown): TugError {
  return new TugError("data-loss", what, { cause });
}

/** Objects, arrays and their members are held in tens of bytes for each byte of text: so many at most. */
const structureLimit = 200_000;

/** Throws for JSON whose text is small and whose value is not; to be called before parsing what somebody else wrote. */
export function checkStructure(bytes: Uint8Array, what: string): void {
  if (bytes.byteLength <= structureLimit) return;
  let count = 0;
  for (const byte of bytes) {
    // "," "[" "{", counted in strings too: no document comes near the limit.
    if (byte === 0x2c || byte === 0x5b || byte === 0x7b) count++;
  }
  if (count > structureLimit) throw malformed(`invalid ${what}: it has more than ${structureLimit} members`);
}

/** Decodes strict UTF-8 JSON whose outermost value is an object; `limit` is in bytes. */
export function parseObject(bytes: Uint8Array, what: string, limit: number): Fields {
  if (bytes.byteLength > limit) throw malformed(`${what} is larger than ${limit} bytes`);
  checkStructure(bytes, what);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    throw malformed(`invalid ${what}: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  return asObject(value, what);
}

export function asObject(value: unknown, where: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw malformed(`invalid ${where}: not an object`);
  }
  return value as Fields;
}

export function optionalObject(from: Fields, key: string, where: string): Fields | undefined {
  const value = from[key] ?? undefined;
  return value === undefined ? undefined : asObject(value, `${where}.${key}`);
}

export function optionalString(from: Fields, key: string, where: string): string | undefined {
  const value = from[key] ?? undefined;
  if (value === undefined || typeof value === "string") return value;
  throw malformed(`invalid ${where}: ${key} is not a string`);
}

export function optionalBoolean(from: Fields, key: string, where: string): boolean | undefined {
  const value = from[key] ?? undefined;
  if (value === undefined || typeof value === "boolean") return value;
  throw malformed(`invalid ${where}: ${key} is not a boolean`);
}

export function optionalNumber(from: Fields, key: string, where: string): number | undefined {
  const value = from[key] ?? undefined;
  if (value === undefined || (typeof value === "number" && Number.isFinite(value))) return value;
  throw malformed(`invalid ${where}: ${key} is not a number`);
}

export function optionalArray(from: Fields, key: string, where: string): readonly unknown[] | undefined {
  const value = from[key] ?? undefined;
  if (value === undefined || Array.isArray(value)) return value;
  throw malformed(`invalid ${where}: ${key} is not an array`);
}

export function optionalStrings(from: Fields, key: string, where: string): readonly string[] | undefined {
  const value = optionalArray(from, key, where);
  if (value === undefined || value.every((each): each is string => typeof each === "string")) return value;
  throw malformed(`invalid ${where}: ${key} is not an array of strings`);
}

export function optionalStringMap(
  from: Fields,
  key: string,
  where: string,
): Readonly<Record<string, string>> | undefined {
  const value = optionalObject(from, key, where);
  if (value === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => {
      if (each !== null && typeof each !== "string") {
        throw malformed(`invalid ${where}: ${key}[${JSON.stringify(name)}] is not a string`);
      }
      return [name, each ?? ""];
    }),
  );
}

/** `{"80/tcp": {}}`: a set written as an object. */
export function optionalKeySet(
  from: Fields,
  key: string,
  where: string,
): Readonly<Record<string, Record<string, never>>> | undefined {
  const value = optionalObject(from, key, where);
  return value && Object.fromEntries(Object.keys(value).map((name) => [name, {}]));
}

/** Leaves out the members that are undefined, which `exactOptionalPropertyTypes` keeps apart from absent ones. */
export function present<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
