import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mount, umount } from "../sys/mount/mount.ts";
import { openDatabase } from "./database.ts";
import { reserveSpace } from "./reserve.ts";

test("records can be written, changed and removed on a disk that is full to the last byte", () => {
  const disk = mkdtempSync(join(tmpdir(), "tug-reserve-"));
  mount("tmpfs", disk, "tmpfs", 0, "size=16m");
  try {
    mkdirSync(join(disk, "db"));
    const db = openDatabase(join(disk, "db/store.db"), { durable: false });
    db.run("CREATE TABLE record (id INTEGER PRIMARY KEY, text TEXT)");
    reserveSpace(db);
    let left = 16 << 20;
    for (const size of [1 << 20, 4096]) {
      for (let i = 0; left > 0; i++) {
        try {
          writeFileSync(join(disk, `fill-${size}-${i}`), Buffer.alloc(size));
        } catch {
          left = size === 4096 ? 0 : left;
          break;
        }
      }
    }
    for (let i = 0; i < 2000; i++) {
      db.query("INSERT OR REPLACE INTO record (id, text) VALUES (?, ?)").run(i % 50, "x".repeat(2000));
    }
    db.run("DELETE FROM record");
    expect(db.query<{ n: number }, []>("SELECT count(*) AS n FROM record").get()?.n).toBe(0);
    db.close();
  } finally {
    umount(disk, 2);
    rmSync(disk, { recursive: true });
  }
});

test("opening again and again does not make the file grow", () => {
  const directory = mkdtempSync(join(tmpdir(), "tug-reserve-"));
  try {
    const sizes = [1, 2, 3].map(() => {
      const db = openDatabase(join(directory, "store.db"), { durable: false });
      reserveSpace(db);
      db.close();
      return statSync(join(directory, "store.db")).size;
    });
    expect(sizes[2]).toBe(sizes[1] ?? 0);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
