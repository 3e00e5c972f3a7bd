import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { codeOf } from "../../../base/lib/errors.ts";
import { rpmPackage, rpmPackages } from "./rpm.ts";
import { tableRows } from "./sqlite-table.ts";

/** Made by Debian's rpm 4.18 (`rpm --justdb -i`) from two packages of a few lines. */
const real = gunzipSync(readFileSync(join(import.meta.dir, "testdata/rpmdb.sqlite.gz")));
const never = new AbortController().signal;
const headers = [...tableRows(real, "Packages")].map(([, blob]) => blob as Uint8Array);

/** A database of rpm's layout as SQLite writes it. */
function written(blobs: Iterable<Uint8Array>, schema = "", pageSize = 4096): Uint8Array {
  using db = new Database(":memory:");
  db.exec(`PRAGMA page_size = ${pageSize}; ${schema}`);
  if (schema === "")
    db.exec("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)");
  const insert = schema === "" ? db.query("INSERT INTO Packages (blob) VALUES (?)") : undefined;
  for (const blob of blobs) insert?.run(blob);
  return db.serialize();
}
const found = (file: Uint8Array) => rpmPackages(file, "f", never);

test("a database that rpm made tells of what is installed", async () => {
  expect(await found(real)).toEqual([
    {
      kind: "rpm",
      name: "hello-tug",
      version: "4:1.2-3",
      architecture: "x86_64",
      license: "MIT AND BSD-3-Clause",
      supplier: "Example Industries",
      source: "f",
    },
    {
      kind: "rpm",
      name: "plain",
      version: "0.9~rc1-1",
      architecture: "noarch",
      license: "GPLv2+",
      supplier: "",
      source: "f",
    },
  ]);
});

test("headers of every size are read back as SQLite wrote them, on pages of every size", () => {
  for (const pageSize of [512, 4096, 65_536]) {
    const blobs = Array.from({ length: 600 }, (_, index) => {
      const length = index % 100 === 0 ? 300_000 : (index * 37) % 9000;
      return Buffer.alloc(length, index);
    });
    const rows = [...tableRows(written(blobs, "", pageSize), "Packages")];
    expect(rows.length).toBe(blobs.length);
    expect(
      rows.every(([, blob], index) => Buffer.compare(blob as Uint8Array, blobs[index] ?? Buffer.of()) === 0),
    ).toBe(true);
  }
});

test("nothing of a schema is carried out: a view or a generated column that never ends is no table of rpm's", async () => {
  const endless =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS hnum, i AS blob FROM n";
  expect(await found(written([], `CREATE VIEW Packages AS ${endless}`))).toEqual([]);
  expect(await found(written([], "CREATE TABLE other (a)"))).toEqual([]);
});

test("pages that lead in circles, or are shared, are refused", async () => {
  const file = Buffer.from(written(Array.from({ length: 3000 }, () => Buffer.alloc(300))));
  const interior = Array.from({ length: file.length / 4096 }, (_, page) => page * 4096).filter(
    (at) => file[at] === 5,
  );
  expect(interior.length).toBeGreaterThan(0);
  for (const at of interior) {
    const looped = Buffer.from(file);
    looped.writeUInt32BE(at / 4096 + 1, at + 8);
    expect(codeOf(await found(looped).catch((error: unknown) => error))).toBe("invalid-argument");
  }
});

test("whatever is changed in a database, reading it ends, with packages or a refusal", async () => {
  let seed = 1;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  let refused = 0;
  for (let round = 0; round < 1500; round++) {
    const file = Buffer.from(real);
    for (let change = random(8); change >= 0; change--) {
      // Where the structure is: the beginnings of pages, and anywhere.
      const at = random(2) === 0 ? random(file.length / 4096) * 4096 + random(120) : random(file.length);
      file[at] = [0, 255, random(256), 1 << random(8)][random(4)] ?? 0;
    }
    const cut = random(10) === 0 ? file.subarray(0, random(file.length)) : file;
    const error = await found(cut).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (error === undefined) continue;
    refused++;
    expect(codeOf(error)).toBe("invalid-argument");
  }
  expect(refused).toBeGreaterThan(50);
});

test("a header that claims more than it has is no package", () => {
  const [header = Buffer.of()] = headers;
  expect(rpmPackage(header, "f")).toBeDefined();
  for (let length = 0; length < header.length; length += 7)
    expect(rpmPackage(header.subarray(0, length), "f")).toBeUndefined();
  for (const at of [0, 4]) {
    const greedy = Buffer.from(header);
    greedy.writeUInt32BE(0xffffffff, at);
    expect(rpmPackage(greedy, "f")).toBeUndefined();
  }
  const outside = Buffer.from(header);
  for (let at = 8; at < 8 + outside.readUInt32BE(0) * 16; at += 16) outside.writeUInt32BE(0xfffffff0, at + 8);
  expect(rpmPackage(outside, "f")).toBeUndefined();
});

test("imported keys are no packages, and a build that is cancelled reads no further", async () => {
  const [header = Buffer.of()] = headers;
  const key = Buffer.from(header);
  const name = key.indexOf("plain\0") >= 0 ? key.indexOf("plain\0") : key.indexOf("hello-tug\0");
  key.write("gpg-pubkey\0".slice(0, 11), name, "latin1");
  expect(rpmPackage(key, "f")?.name).toBe("gpg-pubkey");
  expect(await found(written([key]))).toEqual([]);
  const cancelled = AbortSignal.abort(new Error("enough"));
  const many = written(Array.from({ length: 300 }, () => header));
  expect(String(await rpmPackages(many, "f", cancelled).catch((error: unknown) => error))).toBe(
    "Error: enough",
  );
});
