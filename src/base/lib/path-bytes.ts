/**
 * Linux file names are bytes, JavaScript strings are UTF-16. A name that is not valid UTF-8 is carried with each stray byte
 * b >= 0x80 as the lone surrogate U+DC00+b (the scheme of Python's PEP 383), so that it survives a round trip through tar
 * headers and system calls; everything else is plain UTF-8.
 */
export function decodePath(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  // U+FFFD is what the decoder puts for bad bytes, unless the name really holds one: then the slow path agrees with it.
  return text.includes("\ufffd") ? decodeEscaped(bytes) : text;
}

/** The bytes of a name, the inverse of `decodePath`. */
export function encodePath(path: string): Buffer {
  if (path.isWellFormed()) return Buffer.from(path, "utf8");
  const parts: Buffer[] = [];
  let from = 0;
  for (let i = 0; i < path.length; i++) {
    const unit = path.charCodeAt(i);
    if (unit < 0xdc80 || unit > 0xdcff || isLowHalf(path, i)) continue;
    parts.push(Buffer.from(path.slice(from, i), "utf8"), Buffer.of(unit - 0xdc00));
    from = i + 1;
  }
  parts.push(Buffer.from(path.slice(from), "utf8"));
  return Buffer.concat(parts);
}

function isLowHalf(path: string, index: number): boolean {
  const before = path.charCodeAt(index - 1);
  return index > 0 && before >= 0xd800 && before <= 0xdbff;
}

function decodeEscaped(bytes: Uint8Array): string {
  let out = "";
  let from = 0;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < view.length; ) {
    const length = sequenceLength(view, i);
    if (length > 0) {
      i += length;
      continue;
    }
    out += view.toString("utf8", from, i) + String.fromCharCode(0xdc00 + (view[i] ?? 0));
    from = ++i;
  }
  return out + view.toString("utf8", from);
}

/** Length of the well-formed UTF-8 sequence at `at`, or 0 (Unicode 15, table 3-7). */
function sequenceLength(bytes: Buffer, at: number): number {
  const a = bytes[at] ?? 0;
  if (a < 0x80) return 1;
  const b = bytes[at + 1] ?? 0;
  const tail = (index: number) => ((bytes[at + index] ?? 0) & 0xc0) === 0x80;
  if (a >= 0xc2 && a <= 0xdf) return tail(1) ? 2 : 0;
  if (a >= 0xe0 && a <= 0xef) {
    const ok = (a !== 0xe0 || b >= 0xa0) && (a !== 0xed || b <= 0x9f);
    return ok && tail(1) && tail(2) ? 3 : 0;
  }
  if (a >= 0xf0 && a <= 0xf4) {
    const ok = (a !== 0xf0 || b >= 0x90) && (a !== 0xf4 || b <= 0x8f);
    return ok && tail(1) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}
