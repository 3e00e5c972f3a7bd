/** IP addresses and prefixes as numbers: parsing, text (RFC 5952), containment and overlap. No I/O. */
export type IpFamily = 4 | 6;

export interface IpAddress {
  readonly family: IpFamily;
  readonly value: bigint;
}

export interface IpPrefix {
  readonly family: IpFamily;
  /** The address as written; host bits are kept. */
  readonly value: bigint;
  readonly length: number;
}

const width = (family: IpFamily): number => (family === 4 ? 32 : 128);

function parseV4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    // No leading zeros: some parsers read them as octal (RFC 6943 3.1.1).
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

function parseV6(text: string): bigint | undefined {
  let rest = text;
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (tail) {
    const v4 = parseV4(tail[2] ?? "");
    if (v4 === undefined) return undefined;
    rest = `${tail[1]}${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`;
  }
  const halves = rest.split("::");
  if (halves.length > 2) return undefined;
  const groups = (half: string | undefined) => (half ? half.split(":") : []);
  const left = groups(halves[0]);
  const right = groups(halves[1]);
  const missing = 8 - left.length - right.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const all = [...left, ...Array<string>(halves.length === 1 ? 0 : missing).fill("0"), ...right];
  let value = 0n;
  for (const group of all) {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) return undefined;
    value = (value << 16n) | BigInt(`0x${group}`);
  }
  return value;
}

/** Undefined when it is no address. Zones (`%eth0`) are no part of an address here. */
export function parseIp(text: string): IpAddress | undefined {
  const family: IpFamily = text.includes(":") ? 6 : 4;
  const value = family === 4 ? parseV4(text) : parseV6(text);
  return value === undefined ? undefined : { family, value };
}

/** `address/length`; undefined when malformed. */
export function parsePrefix(text: string): IpPrefix | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = match && parseIp(match[1] ?? "");
  const length = Number(match?.[2]);
  if (!address || length > width(address.family)) return undefined;
  return { ...address, length };
}

export function formatIp(address: IpAddress): string {
  if (address.family === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => String((address.value >> shift) & 255n)).join(".");
  }
  const groups = Array.from({ length: 8 }, (_, i) =>
    Number((address.value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16),
  );
  // RFC 5952 4.2: the longest run of at least two zero groups becomes "::", the first one of equals.
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (groups[at + length] === "0") length++;
    if (length > best.length) best = { at, length };
  }
  if (best.at < 0) return groups.join(":");
  return `${groups.slice(0, best.at).join(":")}::${groups.slice(best.at + best.length).join(":")}`;
}

export function formatPrefix(prefix: IpPrefix): string {
  return `${formatIp(prefix)}/${prefix.length}`;
}

/** Address bytes in network order: 4 or 16. */
export function ipBytes(address: IpAddress): Uint8Array {
  const bytes = new Uint8Array(width(address.family) / 8);
  let value = address.value;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(value & 255n);
    value >>= 8n;
  }
  return bytes;
}

export function ipFromBytes(bytes: Uint8Array): IpAddress {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return { family: bytes.length === 4 ? 4 : 6, value };
}

/** The first address of the prefix: host bits cleared. */
export function networkOf(prefix: IpPrefix): IpPrefix {
  const hostBits = BigInt(width(prefix.family) - prefix.length);
  return { ...prefix, value: (prefix.value >> hostBits) << hostBits };
}

/** The last address of the prefix. */
export function lastOf(prefix: IpPrefix): IpAddress {
  const hostBits = BigInt(width(prefix.family) - prefix.length);
  return { family: prefix.family, value: prefix.value | ((1n << hostBits) - 1n) };
}

export function contains(prefix: IpPrefix, address: IpAddress): boolean {
  const hostBits = BigInt(width(prefix.family) - prefix.length);
  return prefix.family === address.family && prefix.value >> hostBits === address.value >> hostBits;
}

export function overlaps(a: IpPrefix, b: IpPrefix): boolean {
  return a.length <= b.length ? contains(a, b) : contains(b, a);
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(address: IpAddress): boolean {
  return address.family === 4 ? address.value >> 24n === 127n : address.value === 1n;
}

/** The "any" address of either family. */
export function isUnspecified(address: IpAddress): boolean {
  return address.value === 0n;
}
