import { getXattr, isControlXattr, listXattrs } from "../../../../base/sys/xattr.ts";

/** Extended attributes by key. */
type Pair = readonly [key: string, value: Uint8Array];

/** As one text without NUL that is the same for equal attributes: "key=hex,…" in order of keys, whose own "=", "," and "%" are written as in addresses. */
export function attributesText(pairs: readonly Pair[]): string {
  return pairs
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([key, value]) => `${key.replace(/[%=,]/g, encodeURIComponent)}=${Buffer.from(value).toString("hex")}`,
    )
    .join(",");
}

/** What `attributesText` made a text of. */
export function attributePairs(text: string): readonly (readonly [key: string, value: Buffer])[] {
  if (text === "") return [];
  return text.split(",").map((pair) => {
    const at = pair.indexOf("=");
    const key = pair.slice(0, at).replace(/%(?:25|3D|2C)/g, decodeURIComponent);
    return [key, Buffer.from(pair.slice(at + 1), "hex")];
  });
}

/** A node's attributes as one text without NUL, in a fixed order, but for what steers overlay. */
export function xattrText(
  dir: number,
  name: string,
  keys: readonly string[] = listXattrs(dir, name),
): string {
  if (keys.length === 0) return "";
  const told = keys.filter((key) => !isControlXattr(key));
  return attributesText(told.map((key) => [key, getXattr(dir, name, key) ?? Buffer.alloc(0)]));
}
