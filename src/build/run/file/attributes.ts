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
