import { invalid } from "../lib/errors.ts";
import type { Database } from "./database.ts";

const pagesBetweenCheckpoints = 200;

/**
 * Takes disk space for a database's next writes now, so that records can still be written, and things removed, when a container has filled the
 * disk. Both files are grown once: free pages stay in the database file, and the write-ahead log keeps its size, is written over from its
 * start after each checkpoint (SQLite, "Write-Ahead Logging", 6), and is made to checkpoint long before it would have to grow.
 */
export function reserveSpace(db: Database, bytes = 2 << 20): void {
  const [page] = Object.values(db.query("PRAGMA page_size").get() as Record<string, number>);
  if (page === undefined || bytes < pagesBetweenCheckpoints * 2 * page) {
    throw invalid(`a reserve of ${bytes} bytes is less than two checkpoints`);
  }
  db.run(`PRAGMA wal_autocheckpoint = ${pagesBetweenCheckpoints}`);
  db.run("CREATE TABLE IF NOT EXISTS reserve (bytes BLOB)");
  db.query("INSERT INTO reserve (bytes) VALUES (zeroblob(?))").run(bytes);
  db.run("DELETE FROM reserve");
  // Into the database file, where the freed pages then lie; the log itself is kept and restarted.
  db.run("PRAGMA wal_checkpoint(RESTART)");
}
