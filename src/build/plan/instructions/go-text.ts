/** How Go prints what BuildKit writes into an image's history. */

/** `%q` of a list. */
export function quotedList(values: readonly string[]): string {
  return `[${values.map(quoted).join(" ")}]`;
}

const short: Readonly<Record<string, string>> = {
  ...{ '"': '\\"', "\\": "\\\\", "\x07": "\\a", "\b": "\\b", "\f": "\\f" },
  ...{ "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v" },
};

/** `%q`: what is not printable (strconv.IsPrint), blanks other than the space too, stands as its number. */
function quoted(text: string): string {
  const escaped = text.replace(/["\\]|[\p{C}\p{Zs}\p{Zl}\p{Zp}]/gu, (char) => {
    if (char === " ") return char;
    const code = char.codePointAt(0) ?? 0;
    const hex = (digits: number) => code.toString(16).padStart(digits, "0");
    return short[char] ?? (code < 0x80 ? `\\x${hex(2)}` : code < 0x10000 ? `\\u${hex(4)}` : `\\U${hex(8)}`);
  });
  return `"${escaped}"`;
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
