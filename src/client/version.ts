/** The newest API version this client speaks; older daemons are met at theirs. */
export const clientApiVersion = "1.51";
/** The oldest one it still talks to. */
export const minimumApiVersion = "1.24";

/** Negative when a < b, as for sort. */
export function compareVersions(a: string, b: string): number {
  const left = a.split(".").map(Number);
  const right = b.split(".").map(Number);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
