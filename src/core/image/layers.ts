import type { Clock } from "../../base/lib/clock.ts";
import type { ChainId, DiffId, Digest } from "../../base/lib/ids.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { type Database, migrate } from "../../base/store/database.ts";
import { relaxed } from "../../base/store/relaxed.ts";

const migrations = [
  `CREATE TABLE layer (
     chain_id TEXT PRIMARY KEY,
     diff_id TEXT NOT NULL,
     size INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;`,
  `CREATE TABLE layer_blob (
     diff_id TEXT PRIMARY KEY,
     digest TEXT NOT NULL,
     media_type TEXT NOT NULL,
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

  /** `size` is the sum of the layer's regular files, in bytes. On disk with the record of the image that has the layer. */
  add(chainId: ChainId, diffId: DiffId, size: number): void {
    relaxed(this.#db, () => this.#insert(chainId, diffId, size));
  }

  #insert(chainId: ChainId, diffId: DiffId, size: number): void {
    this.#db
      .query("INSERT OR REPLACE INTO layer (chain_id, diff_id, size) VALUES (?1, ?2, ?3)")
      .run(chainId, diffId, size);
  }

  /** The same for several, in one transaction. */
  addAll(
    layers: readonly { readonly chainId: ChainId; readonly diffId: DiffId; readonly size: number }[],
  ): void {
    const write = this.#db.transaction(() => {
      for (const { chainId, diffId, size } of layers) this.#insert(chainId, diffId, size);
    });
    write.immediate();
  }

  size(chainId: ChainId): number | undefined {
    const query = this.#db.query<{ size: number }, [string]>("SELECT size FROM layer WHERE chain_id = ?1");
    return query.get(chainId)?.size;
  }

  diffId(chainId: ChainId): DiffId | undefined {
    const query = this.#db.query<{ diff_id: string }, [string]>(
      "SELECT diff_id FROM layer WHERE chain_id = ?1",
    );
    return query.get(chainId)?.diff_id as DiffId | undefined;
  }

  remove(chainId: ChainId): void {
    this.#db.query("DELETE FROM layer WHERE chain_id = ?1").run(chainId);
    this.#db.run("DELETE FROM layer_blob WHERE diff_id NOT IN (SELECT diff_id FROM layer)");
  }

  /** A blob that the layer came as, or was made into; whether it is still here is the content store's to say. */
  blob(diffId: DiffId): Descriptor | undefined {
    const row = this.#db
      .query<{ digest: string; media_type: string; size: number }, [string]>(
        "SELECT digest, media_type, size FROM layer_blob WHERE diff_id = ?1",
      )
      .get(diffId);
    return row ? { mediaType: row.media_type, digest: row.digest as Digest, size: row.size } : undefined;
  }

  keepBlob(diffId: DiffId, { mediaType, digest, size }: Descriptor): void {
    this.#db
      .query("INSERT OR REPLACE INTO layer_blob (diff_id, digest, media_type, size) VALUES (?1, ?2, ?3, ?4)")
      .run(diffId, digest, mediaType, size);
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
