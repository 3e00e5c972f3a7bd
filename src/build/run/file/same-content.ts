import { readSync } from "node:fs";
import { closeFd, O, openat } from "../../../base/sys/at.ts";
import type { FileStat } from "../../../base/sys/stat.ts";

const piece = 1 << 20;
const second = 1_000_000_000n;

/**
 * Whether two regular files of equal size and time hold the same. A time with a fraction is never that of another content; whole seconds, which
 * archives have, may be, and then the bytes decide (containerd, continuity/fs).
 */
export function sameContent(lower: number, upper: number, name: string, { size, mtime }: FileStat): boolean {
  if (size === 0 || mtime % second !== 0n) return true;
  const flags = O.RDONLY | O.NOFOLLOW | O.NONBLOCK;
  const a = openat(lower, name, flags);
  try {
    const b = openat(upper, name, flags);
    try {
      return equal(a, b);
    } finally {
      closeFd(b);
    }
  } finally {
    closeFd(a);
  }
}

function equal(a: number, b: number): boolean {
  const [left, right] = [Buffer.allocUnsafe(piece), Buffer.allocUnsafe(piece)];
  for (let at = 0; ; ) {
    const [one, other] = [readSync(a, left, 0, piece, at), readSync(b, right, 0, piece, at)];
    if (one !== other || left.compare(right, 0, other, 0, one) !== 0) return false;
    if (one === 0) return true;
    at += one;
  }
}
