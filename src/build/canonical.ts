import type { Digest } from "../base/lib/ids.ts";
import { digestOf } from "../base/spec/oci/digest.ts";

/** JSON that is the same for equal values: members sorted by name, those that are undefined left out. */
export function canonicalJson(value: unknown): string {
  return (
    JSON.stringify(value, (_, member: unknown) => {
      if (typeof member !== "object" || member === null || Array.isArray(member)) return member;
      return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
    }) ?? "null"
  );
}

/** SHA-256 of the value's canonical JSON. */
export function digestOfValue(value: unknown): Digest {
  return digestOf(canonicalJson(value));
}
