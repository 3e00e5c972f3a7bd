export interface ByteRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/**
 * Reads a Range header (RFC 9110, 14.1.2) for a body of `size` bytes. undefined: serve everything, which is what a header that is not
 * understood, or names several ranges, asks for. One that ends before it begins is refused (14.2 leaves the choice, and the conformance
 * suite takes the whole blob for a registry without ranges).
 */
export function parseRange(
  header: string | undefined,
  size: number,
): ByteRange | "unsatisfiable" | undefined {
  const match = /^bytes\s*=\s*(\d{0,15})-(\d{0,15})\s*$/.exec(header ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return undefined;
  if (match[1] === "") {
    const last = Number(match[2]);
    return last === 0 || size === 0 ? "unsatisfiable" : { start: Math.max(0, size - last), end: size };
  }
  const start = Number(match[1]);
  const end = match[2] === "" ? size : Math.min(size, Number(match[2]) + 1);
  return start >= end ? "unsatisfiable" : { start, end };
}
