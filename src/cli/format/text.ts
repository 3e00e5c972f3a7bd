import { shortId } from "../../base/lib/ids.ts";

/** Cuts to `max` columns of a terminal, the last one an ellipsis where there is room for more than one. */
export function ellipsis(text: string, max: number): string {
  if (Bun.stringWidth(text) <= max) return text;
  const mark = max <= 1 ? "" : "…";
  let room = max - mark.length;
  let kept = "";
  for (const rune of text) {
    room -= Bun.stringWidth(rune);
    if (room < 0) break;
    kept += rune;
  }
  return kept + mark;
}

/** Go's strconv.Quote. */
export function goQuote(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u00a0]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** An id as people see it, or whole with --no-trunc. */
export function displayId(id: string, whole: boolean): string {
  return whole ? id : shortId(id);
}

/**
 * Go's time.Time.String of an RFC 3339 time: in the zone that it is written in, which has a name when it is UTC or the local one (Go's
 * time.Parse), its fraction kept.
 */
export function goTimeOf(text: string): string {
  const [, day, clock, digits = "", zone] =
    /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(text) ?? [];
  if (zone === undefined) return text || "0001-01-01 00:00:00 +0000 UTC";
  const fraction = digits.replace(/0+$/, "");
  const shift = zone.replace(":", "");
  const localZone = goTime(new Date(text).getTime()).slice(20);
  const named = zone === "Z" ? "+0000 UTC" : localZone.startsWith(shift) ? localZone : `${shift} ${shift}`;
  return `${day} ${clock}${fraction === "" ? "" : `.${fraction}`} ${named}`;
}

/** Go's time.Time.String in the local zone: "2026-11-21 05:06:31 +0000 UTC". */
export function goTime(milliseconds: number): string {
  const date = new Date(milliseconds);
  const two = (n: number) => String(n).padStart(2, "0");
  const offset = -date.getTimezoneOffset();
  const zone = offset === 0 ? "UTC" : zoneName(date);
  const sign = offset < 0 ? "-" : "+";
  const shift = `${sign}${two(Math.trunc(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${shift} ${zone}`;
}

function zoneName(date: Date): string {
  const parts = new Intl.DateTimeFormat("en-US", { timeZoneName: "short" }).formatToParts(date);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "UTC";
}

/** Labels as the LABELS column shows them. */
export function labelList(labels: Readonly<Record<string, string>> | null | undefined): string {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}
