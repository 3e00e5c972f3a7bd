/** How Go prints what BuildKit writes into an image's history. */

/** `%q` of a list. */
export function quotedList(values: readonly string[]): string {
  return `[${values.map((value) => JSON.stringify(value)).join(" ")}]`;
}

/** `%v` of a list. */
export function plainList(values: readonly string[]): string {
  return `[${values.join(" ")}]`;
}

/** time.Duration: "1h0m0s", "1.5s", "100ms", "0s". */
export function goDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return "0s";
  if (nanoseconds < 1e3) return `${nanoseconds}ns`;
  if (nanoseconds < 1e6) return `${nanoseconds / 1e3}µs`;
  if (nanoseconds < 1e9) return `${nanoseconds / 1e6}ms`;
  const total = BigInt(nanoseconds);
  const rest = total % 60_000_000_000n;
  const fraction = (rest % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
  const seconds = `${rest / 1_000_000_000n}${fraction === "" ? "" : `.${fraction}`}s`;
  const minutes = total / 60_000_000_000n;
  if (minutes === 0n) return seconds;
  return minutes < 60n ? `${minutes}m${seconds}` : `${minutes / 60n}h${minutes % 60n}m${seconds}`;
}
