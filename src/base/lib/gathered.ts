/** Small chunks joined to pieces of about a mebibyte; large ones as they are. */
export function* gathered(source: Iterable<Uint8Array>): Generator<Uint8Array, void, undefined> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for (const chunk of source) {
    const large = chunk.length >= 1 << 19;
    if (!large) {
      parts.push(chunk);
      length += chunk.length;
      if (length < 1 << 20) continue;
    }
    if (length > 0) yield Buffer.concat(parts);
    if (large) yield chunk;
    parts = [];
    length = 0;
  }
  if (length > 0) yield Buffer.concat(parts);
}
