import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Digest, ImageId } from "../../base/lib/ids.ts";
import { openDatabase } from "../../base/store/database.ts";
import { ImageRecords } from "./records.ts";

const digest = (letter: string) => `sha256:${letter.repeat(64)}` as Digest;

/** The tables as they were before indexes were kept, with one image of two names. */
const before = [
  `CREATE TABLE image (id TEXT PRIMARY KEY, config TEXT NOT NULL, manifest TEXT, parent TEXT, size INTEGER NOT NULL,
     last_tagged INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
  `CREATE TABLE image_reference (name TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
     digest TEXT) STRICT, WITHOUT ROWID`,
  `CREATE TABLE image_blob (image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE, digest TEXT NOT NULL,
     PRIMARY KEY (image, digest)) STRICT, WITHOUT ROWID`,
];

test("records of an older Tug keep their names, manifests and blobs", () => {
  const folder = mkdtempSync(join(tmpdir(), "records-"));
  const db = openDatabase(join(folder, "db"));
  try {
    for (const statement of before) db.run(statement);
    db.run("INSERT INTO migration VALUES ('image', 1)");
    const config = JSON.stringify({
      os: "linux",
      architecture: "amd64",
      rootfs: { type: "layers", diff_ids: [] },
    });
    const manifest = {
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      digest: digest("b"),
      size: 9,
    };
    db.query("INSERT INTO image VALUES (?1, ?2, ?3, NULL, 5, 7)").run(
      digest("a"),
      config,
      JSON.stringify(manifest),
    );
    db.query("INSERT INTO image_reference VALUES ('a:1', ?1, NULL)").run(digest("a"));
    db.query("INSERT INTO image_reference VALUES (?2, ?1, ?3)").run(
      digest("a"),
      `a@${digest("c")}`,
      digest("c"),
    );
    for (const blob of [digest("a"), digest("b"), digest("d")]) {
      db.query("INSERT INTO image_blob VALUES (?1, ?2)").run(digest("a"), blob);
    }
    const records = new ImageRecords(db, { os: "linux", architecture: "amd64" });
    expect(records.tables.names.get("a:1")).toEqual({
      image: digest("a") as string as ImageId,
      target: digest("b"),
    });
    expect(records.tables.images.get(digest("a") as string as ImageId)).toMatchObject({
      manifest,
      tags: ["a:1"],
      digests: [`a@${digest("c")}`],
      index: undefined,
      siblings: [],
    });
    records.write(() => records.dropReference(`a@${digest("c")}`));
    expect([...records.blobs()].sort()).toEqual([digest("a"), digest("b"), digest("d")]);
  } finally {
    db.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
