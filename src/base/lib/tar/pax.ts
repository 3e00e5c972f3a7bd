import { decodePath, encodePath } from "../path-bytes.ts";
import { invalidHeader } from "./entry.ts";

/** pax records: "<length> <key>=<value>\n", the length counting itself. Values are bytes: attributes are binary. */
export function parsePax(body: Uint8Array): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 ? "" : bytes.toString("latin1", at, space);
    if (!/^[0-9]{1,10}$/.test(digits)) throw invalidHeader();
    const end = at + Number(digits);
    const equals = bytes.indexOf(0x3d, space + 1);
    if (end > bytes.length || bytes[end - 1] !== 0x0a || equals < 0 || equals >= end - 1)
      throw invalidHeader();
    const key = decodePath(bytes.subarray(space + 1, equals));
    const value = bytes.subarray(equals + 1, end - 1);
    const text = ["path", "linkpath", "uname", "gname"].includes(key);
    if (key === "" || key.includes("\0") || (text && value.includes(0))) throw invalidHeader();
    records.set(key, Buffer.from(value));
    at = end;
  }
  return records;
}

/** Old sparse format 0.0 repeats two keys, which a map cannot hold: their values in order. */
export function sparsePairs(body: Uint8Array): number[] {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1");
  return [...text.matchAll(/(?:^|\n)\d+ GNU\.sparse\.(?:offset|numbytes)=(\d+)(?=\n)/g)].map((m) =>
    Number(m[1]),
  );
}

export function paxRecord(key: string, value: string | Uint8Array): Buffer {
  // Nearly always a time, once for every file.
  if (typeof value === "string" && value.isWellFormed()) {
    const body = ` ${key}=${value}\n`;
    return Buffer.from(`${recordLength(Buffer.byteLength(body))}${body}`);
  }
  const body = Buffer.concat([
    encodePath(` ${key}=`),
    typeof value === "string" ? encodePath(value) : value,
    Buffer.from("\n"),
  ]);
  return Buffer.concat([Buffer.from(String(recordLength(body.length))), body]);
}

/** Length of a record that counts the digits of the length itself. */
function recordLength(body: number): number {
  let length = body + 1;
  while (String(length).length + body !== length) length = String(length).length + body;
  return length;
}

/** "1234567890.123456789" -> nanoseconds. Digits past the ninth are dropped, as in Go. */
export function parsePaxTime(text: string): bigint {
  const match = /^(-?)(\d{1,18})(?:\.(\d*))?$/.exec(text);
  if (!match) throw invalidHeader();
  const nanos = BigInt(match[2] ?? 0) * 1_000_000_000n + BigInt((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  return match[1] === "-" ? -nanos : nanos;
}

export function formatPaxTime(nanos: bigint): string {
  const sign = nanos < 0n ? "-" : "";
  const size = nanos < 0n ? -nanos : nanos;
  const fraction = String(size % 1_000_000_000n)
    .padStart(9, "0")
    .replace(/0+$/, "");
  return `${sign}${size / 1_000_000_000n}${fraction === "" ? "" : `.${fraction}`}`;
}
