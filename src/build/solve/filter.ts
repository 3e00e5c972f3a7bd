import { invalid } from "../../base/lib/errors.ts";
import type { CacheEntry } from "./objects.ts";

/** Says whether an entry is meant. */
export type EntryFilter = (entry: CacheEntry) => boolean;

/**
 * Filters as BuildKit's API has them (containerd's syntax): one of the texts must hold, of each all parts between commas: "type==regular",
 * "id~=^abc", "description!=x", or a bare name for what is set ("inuse", "shared", "private", "mutable", "immutable").
 */
export function parseEntryFilters(texts: readonly string[]): EntryFilter {
  const any = texts.filter((text) => text !== "").map((text) => parts(text).map(parsePart));
  return (entry) => any.length === 0 || any.some((all) => all.every((part) => part(entry)));
}

/** Splits at commas that are not in quotes. */
function parts(text: string): readonly string[] {
  return text.match(/(?:"(?:[^"\\]|\\.)*"|[^,"]|")+/g) ?? [];
}

function parsePart(text: string): EntryFilter {
  const parsed = /^\s*([a-z.]+)\s*(?:(==|!=|~=)\s*(.*?)\s*)?$/s.exec(text);
  const field = parsed?.[1] ?? "";
  const read = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (!read)
    throw invalid(`invalid cache filter ${JSON.stringify(text)}: use ${Object.keys(fields).join(", ")}`);
  const operator = parsed?.[2];
  const value = unquoted(parsed?.[3] ?? "");
  if (operator === undefined) return (entry) => read(entry).some((one) => one !== "");
  if (operator === "==") return (entry) => read(entry).includes(value);
  if (operator === "!=") return (entry) => !read(entry).includes(value);
  const pattern = compiled(value);
  return (entry) => read(entry).some((one) => pattern.test(one));
}

const flag = (on: boolean) => (on ? ["true"] : []);
/** What a name stands for in an entry: none, one or several values. */
const fields: Readonly<Record<string, (entry: CacheEntry) => readonly string[]>> = {
  id: ({ id }) => [id],
  parents: ({ parents }) => parents,
  description: ({ description }) => [description],
  type: ({ type }) => [type],
  inuse: ({ inUse }) => flag(inUse),
  shared: ({ shared }) => flag(shared),
  private: ({ shared }) => flag(!shared),
  mutable: ({ type }) => flag(isMutable(type)),
  immutable: ({ type }) => flag(!isMutable(type)),
};

/** What is written to again, as caches are. */
function isMutable(type: CacheEntry["type"]): boolean {
  return type === "exec.cachemount" || type === "source.local";
}

function unquoted(value: string): string {
  if (!value.startsWith('"')) return value;
  try {
    const text: unknown = JSON.parse(value);
    if (typeof text === "string") return text;
  } catch (error) {
    throw invalid(`invalid cache filter value ${value}`, error);
  }
  throw invalid(`invalid cache filter value ${value}`);
}

function compiled(pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch (error) {
    throw invalid(`invalid cache filter: ${pattern} is no regular expression`, error);
  }
}
