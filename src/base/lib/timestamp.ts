/**
 * Points in time and spans as Docker's clients write them: Go durations ("1h30m"), RFC 3339 with or without zone, and Unix
 * seconds with an optional fraction. Everything is nanoseconds in a bigint, because a double holds only 256 ns steps today.
 */

const units: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** Characters of a duration: more than one of all units at their longest. */
const longest = 200;

/** A Go duration in nanoseconds, or undefined when the text is none. */
export function parseDuration(text: string): bigint | undefined {
  if (text.length > longest) return undefined;
  const signed = /^([+-]?)(.*)$/s.exec(text);
  const body = signed?.[2] ?? "";
  if (body === "0") return 0n;
  // One way only to read each number: with two, a text of them that fails at its end takes exponential time.
  if (!/^(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(body)) return undefined;
  let total = 0n;
  for (const match of body.matchAll(/(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)/g)) {
    const unit = units[match[3] ?? "s"] ?? 1n;
    const fraction = (match[2] ?? "").slice(0, 18);
    total += BigInt(match[1] || "0") * unit;
    if (fraction !== "") total += (BigInt(fraction) * unit) / 10n ** BigInt(fraction.length);
  }
  return signed?.[1] === "-" ? -total : total;
}

/** Unix seconds with up to nine decimals ("1700000000.000000001") in nanoseconds, or undefined. */
export function parseUnixTime(text: string): bigint | undefined {
  const match = /^(-?)(\d{1,18})(?:\.(\d+))?$/.exec(text);
  if (!match) return undefined;
  const nanos = BigInt((match[3] ?? "").padEnd(9, "0").slice(0, 9));
  const value = BigInt(match[2] ?? "0") * 1_000_000_000n + nanos;
  return match[1] === "-" ? -value : value;
}

const shape = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?(Z|[+-]\d\d:\d\d)?$/;

/** RFC 3339 or one of its shorter forms that Docker takes ("2006-01-02", "2006-01-02T15:04"); without a zone it is local time. */
export function parseRfc3339(text: string): bigint | undefined {
  const m = shape.exec(text);
  if (!m) return undefined;
  const part = (index: number) => Number(m[index] ?? "0");
  const fields = [part(1), part(2) - 1, part(3), part(4), part(5), part(6)] as const;
  const zone = m[8];
  const utc = Date.UTC(...fields);
  const check = new Date(utc);
  if (
    check.getUTCMonth() !== fields[1] ||
    check.getUTCDate() !== fields[2] ||
    fields[3] > 23 ||
    fields[4] > 59
  ) {
    return undefined;
  }
  let ms = utc;
  if (zone === undefined) ms = new Date(...fields).getTime();
  else if (zone !== "Z") {
    const offset = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6));
    ms = utc - (zone.startsWith("-") ? -offset : offset) * 60_000;
  }
  return BigInt(ms) * 1_000_000n + BigInt((m[7] ?? "").padEnd(9, "0"));
}

/** What `--since`, `--until` and `until=` take; a duration counts back from `nowMs`. Undefined when it is none of them. */
export function parseTimestamp(text: string, nowMs: number): bigint | undefined {
  const span = parseDuration(text);
  if (span !== undefined && text !== "0") return BigInt(Math.trunc(nowMs)) * 1_000_000n - span;
  return parseRfc3339(text) ?? parseUnixTime(text);
}

/** RFC 3339 in UTC with nanoseconds, zeros cut as Go's RFC3339Nano does. */
export function formatRfc3339Nano(nanos: bigint): string {
  const floor = nanos >= 0n ? nanos / 1_000_000_000n : -((-nanos + 999_999_999n) / 1_000_000_000n);
  const seconds = new Date(Number(floor) * 1000).toISOString().slice(0, 19);
  const rest = (nanos - floor * 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
  return `${seconds}${rest === "" ? "" : `.${rest}`}Z`;
}
