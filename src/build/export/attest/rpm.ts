import type { FoundPackage } from "./databases.ts";
import { tableRows } from "./sqlite-table.ts";

/** Where distributions have rpm's database, as SQLite (since rpm 4.16; Fedora 33, RHEL 9, openSUSE Leap 15.4 at the latest). */
export const rpmDatabases = [
  "/var/lib/rpm/rpmdb.sqlite",
  "/usr/lib/sysimage/rpm/rpmdb.sqlite",
  "/usr/share/rpm/rpmdb.sqlite",
];

/** So many packages are read between two turns of the event loop. */
const BATCH = 100;
/** More are no system that somebody installed. */
const MOST = 100_000;

/**
 * What rpm's database says is installed: a table "Packages" with a header of each. Throws for a file that is none. Imported keys, which stand
 * among the packages, are left out. Gives way to the event loop.
 */
export async function rpmPackages(
  database: Uint8Array,
  source: string,
  signal: AbortSignal,
): Promise<readonly FoundPackage[]> {
  const packages: FoundPackage[] = [];
  let rows = 0;
  for (const [, blob] of tableRows(database, "Packages")) {
    if (++rows > MOST) break;
    if (rows % BATCH === 0) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
    }
    const found = blob instanceof Uint8Array ? rpmPackage(blob, source) : undefined;
    if (found && found.name !== "gpg-pubkey") packages.push(found);
  }
  return packages.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** Tags of a header, by number (rpm's rpmtag.h), that are told. */
const NAME = 1000;
const VERSION = 1001;
const RELEASE = 1002;
const EPOCH = 1003;
const VENDOR = 1011;
const LICENSE = 1014;
const PACKAGER = 1015;
const ARCH = 1022;
const wanted = new Set([NAME, VERSION, RELEASE, EPOCH, VENDOR, LICENSE, PACKAGER, ARCH]);

/** Types of a tag's data: a number of 32 bits, a text, and a text that may be there in several languages. */
const INT32 = 4;
const STRING = 6;
const I18NSTRING = 9;
/** Longer ones are no names, versions or licenses. */
const TEXT_LIMIT = 4096;

/**
 * A header as the database has it (rpm's docs/manual/format_header.md): how many entries there are and bytes of data, the entries (tag, type,
 * offset in the data, count), the data; all numbers big-endian. Undefined for what is none.
 */
export function rpmPackage(blob: Uint8Array, source: string): FoundPackage | undefined {
  const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
  if (bytes.length < 8) return undefined;
  const [entries, size] = [bytes.readUInt32BE(0), bytes.readUInt32BE(4)];
  const start = 8 + entries * 16;
  if (start + size > bytes.length) return undefined;
  const data = bytes.subarray(start, start + size);
  const found = new Map<number, string>();
  for (let at = 8; at < start; at += 16) {
    const tag = bytes.readUInt32BE(at);
    if (!wanted.has(tag) || found.has(tag)) continue;
    const text = textOf(data, bytes.readUInt32BE(at + 4), bytes.readUInt32BE(at + 8));
    if (text !== undefined) found.set(tag, text);
  }
  const [name, version, release] = [found.get(NAME), found.get(VERSION), found.get(RELEASE)];
  if (!name || !version || !release) return undefined;
  const epoch = found.get(EPOCH);
  return {
    kind: "rpm",
    name,
    version: `${epoch === undefined ? "" : `${epoch}:`}${version}-${release}`,
    architecture: found.get(ARCH) ?? "",
    license: found.get(LICENSE) ?? "",
    supplier: found.get(VENDOR) ?? found.get(PACKAGER) ?? "",
    source,
  };
}

function textOf(data: Buffer, type: number, offset: number): string | undefined {
  if (type === INT32) return offset + 4 <= data.length ? String(data.readUInt32BE(offset)) : undefined;
  if (type !== STRING && type !== I18NSTRING) return undefined;
  const end = data.subarray(offset, offset + TEXT_LIMIT).indexOf(0);
  return end < 0 ? undefined : data.toString("utf8", offset, offset + end);
}
