import type { Clock } from "../../base/lib/clock.ts";
import type { ChainId, DiffId } from "../../base/lib/ids.ts";
import { type Database, migrate } from "../../base/store/database.ts";

const migrations = [
  `CREATE TABLE layer (
     chain_id TEXT PRIMARY KEY,
     diff_id TEXT NOT NULL,
     size INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;`,
];

/** How long an unpacked layer waits for the record of its image before it counts as garbage. */
const pinTime = 10n * 60_000_000_000n;

/** What is known of unpacked layers beyond their snapshots: their size as images show it, and who still wants them. */
export class LayerRecords {
  readonly #db: Database;
  readonly #clock: Clock;
  /** Layers of images being pulled, loaded or built: chain id -> when the pin ends. */
  readonly #pins = new Map<string, bigint>();

  constructor(deps: { readonly db: Database; readonly clock: Clock }) {
    this.#db = deps.db;
    this.#clock = deps.clock;
    migrate(this.#db, "layer", migrations);
  }

  /** `size` is the sum of the layer's regular files, in bytes. */
  add(chainId: ChainId, diffId: DiffId, size: number): void {
    this.#db
      .query("INSERT OR REPLACE INTO layer (chain_id, diff_id, size) VALUES (?1, ?2, ?3)")
      .run(chainId, diffId, size);
  }

  size(chainId: ChainId): number | undefined {
    const query = this.#db.query<{ size: number }, [string]>("SELECT size FROM layer WHERE chain_id = ?1");
    return query.get(chainId)?.size;
  }

  remove(chainId: ChainId): void {
    this.#db.query("DELETE FROM layer WHERE chain_id = ?1").run(chainId);
  }

  /** Keeps a layer from being collected until an image names it. */
  pin(chainId: ChainId): void {
    this.#pins.set(chainId, this.#clock.monotonic() + pinTime);
  }

  unpin(chainIds: Iterable<ChainId>): void {
    for (const chainId of chainIds) this.#pins.delete(chainId);
  }

  pinned(chainId: string): boolean {
    const until = this.#pins.get(chainId);
    if (until === undefined) return false;
    if (until > this.#clock.monotonic()) return true;
    this.#pins.delete(chainId);
    return false;
  }
}
