import type { Database } from "./database.ts";
import { tellingFullDisk } from "./full-disk.ts";

/**
 * Writes without waiting for the disk, on a connection that otherwise does (SQLite, "PRAGMA synchronous": WAL mode stays consistent with
 * NORMAL). After a power cut the write may be lost, and what was written before it is not; a later durable write carries it along.
 */
export function relaxed(db: Database, write: () => void): void {
  const before = db.query<{ synchronous: number }, []>("PRAGMA synchronous").get()?.synchronous ?? 2;
  db.run("PRAGMA synchronous = 1");
  try {
    tellingFullDisk(write);
  } finally {
    db.run(`PRAGMA synchronous = ${before}`);
  }
}
