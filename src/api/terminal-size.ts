import { invalid } from "../base/lib/errors.ts";
import type { Query } from "./query.ts";

/** `h` and `w` of the two resize routes. */
export function terminalSize(query: Query): { readonly rows: number; readonly columns: number } {
  return { rows: size(query, "h", "height"), columns: size(query, "w", "width") };
}

function size(query: Query, name: string, what: string): number {
  const text = query.text(name);
  const quoted = JSON.stringify(text);
  const refuse = (why: string) =>
    invalid(`invalid resize ${what} ${quoted}: strconv.ParseUint: parsing ${quoted}: ${why}`);
  if (!/^\d+$/.test(text)) throw refuse("invalid syntax");
  const value = Number(text);
  if (value > 0xffff_ffff) throw refuse("value out of range");
  return value;
}
