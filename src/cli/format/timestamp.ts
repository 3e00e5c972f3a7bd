import { invalid, messageOf } from "../../base/lib/errors.ts";
import { parseDuration } from "./units.ts";

/**
 * A `--since`/`--until` value as the API takes it: seconds since the epoch with nine decimals. A Go duration counts back from
 * now; a date or time without a zone is local; a bare number is passed on.
 */
export function parseTimestamp(text: string, now: number): string {
  if (/^[+-]?(\d+(\.\d*)?|\.\d+)([a-zµμ])/.test(text) && !text.includes("-", 1)) {
    const at = BigInt(now) * 1_000_000n - BigInt(parseDuration(text));
    return `${at / 1_000_000_000n}.${String(at % 1_000_000_000n).padStart(9, "0")}`;
  }
  const match =
    /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d)(?::(\d\d))?(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:\d\d)?$/.exec(
      text,
    );
  if (!match) {
    if (/^\d+(\.\d+)?$/.test(text)) return text;
    throw invalid(`failed to parse value as time or duration: ${JSON.stringify(text)}`);
  }
  const [, year, month, day, hour = "00", minute = "00", second = "00", fraction = "", zone = ""] = match;
  const parsed = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone}`).getTime();
  if (Number.isNaN(parsed))
    throw invalid(`failed to parse value as time or duration: ${JSON.stringify(text)}`);
  return `${Math.floor(parsed / 1000)}.${fraction.padEnd(9, "0")}`;
}

/** The same for a flag, whose name the complaint begins with. */
export function timestampFlag(name: string, text: string, now: number): string {
  try {
    return parseTimestamp(text, now);
  } catch (error) {
    throw invalid(`invalid value for "${name}": ${messageOf(error)}`, error);
  }
}
