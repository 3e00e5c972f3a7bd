import type { Clock } from "../../base/lib/clock.ts";
import { TugError } from "../../base/lib/errors.ts";
import { Mutex } from "../../base/lib/mutex.ts";
import { tellingFullDisk } from "../../base/store/full-disk.ts";
import type { Ingest } from "../../core/content/content.ts";
import type { RepositoryName } from "../names.ts";
import type { Records } from "../records/records.ts";
import { SpecError } from "../spec-error.ts";
import type { BlobStorage } from "../storage/storage.ts";

/** A session that nobody uses stays open so long, with its hash: opening it again means reading what it has. */
const parkedMs = 30_000;
/** So many unused sessions stay open; each has a descriptor and a buffer. */
const maxParked = 32;

interface OpenUpload {
  readonly mutex: Mutex;
  ingest: Ingest | undefined;
  /** Ends the request that is writing now. */
  holder: AbortController | undefined;
  timer: ReturnType<typeof setTimeout> | undefined;
  /** Committed or cancelled: nothing is kept. */
  over: boolean;
}

interface Deps {
  readonly records: Pick<Records, "uploads">;
  readonly storage: Pick<BlobStorage, "begin">;
  readonly clock: Clock;
}

/**
 * Upload sessions. A session outlives the connection that writes it and the process: its bytes are an ingest, its name a record. One
 * request at a time has it; a newer one ends the older, which is a client that came back after its connection was lost.
 */
export class Uploads implements AsyncDisposable {
  readonly #deps: Deps;
  readonly #open = new Map<string, OpenUpload>();
  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** Sessions with an open file. */
  get active(): number {
    return this.#open.size;
  }

  /** Makes a session and returns its id, a UUID. */
  create(name: RepositoryName): string {
    const id = crypto.randomUUID();
    tellingFullDisk(() =>
      this.#deps.records.uploads
        .query("INSERT INTO upload (id, repository, used) VALUES (?, ?, ?)")
        .run(id, name, this.#deps.clock.now()),
    );
    return id;
  }

  /** Runs `work` as the only one that has the session. `signal` ends when a newer request takes it. Throws BLOB_UPLOAD_UNKNOWN. */
  async use<T>(
    name: RepositoryName,
    id: string,
    work: (ingest: Ingest, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    this.#check(name, id);
    const upload = this.#slot(id);
    upload.holder?.abort(new TugError("cancelled", "another request took over the upload"));
    using _turn = await upload.mutex.lock();
    // Whoever had it before may have finished it.
    if (upload.over) throw unknownUpload(id);
    clearTimeout(upload.timer);
    const holder = new AbortController();
    upload.holder = holder;
    try {
      upload.ingest ??= await this.#deps.storage.begin(id);
      return await work(upload.ingest, holder.signal);
    } finally {
      if (upload.holder === holder) upload.holder = undefined;
      this.#touch(id);
      this.#park(id, upload);
    }
  }

  /** Bytes the session has. */
  async offset(name: RepositoryName, id: string): Promise<number> {
    this.#check(name, id);
    return this.#open.get(id)?.ingest?.offset ?? (await this.use(name, id, async (ingest) => ingest.offset));
  }

  /** Ends the session within `use`: its record goes, its bytes are the caller's business. */
  finish(id: string): void {
    const upload = this.#open.get(id);
    if (upload) upload.over = true;
    this.#deps.records.uploads.query("DELETE FROM upload WHERE id = ?").run(id);
  }

  /** Forgets sessions not used for so long; returns how many. Their bytes are the storage's `dropPartials`. */
  expire(olderThanMs: number): number {
    return this.#deps.records.uploads
      .query("DELETE FROM upload WHERE used < ?")
      .run(this.#deps.clock.now() - olderThanMs).changes;
  }

  /** Closes all sessions; their bytes stay for the next process. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const upload of this.#open.values()) {
      clearTimeout(upload.timer);
      upload.holder?.abort(new TugError("unavailable", "the registry is shutting down"));
    }
    await Promise.all([...this.#open].map(([id, upload]) => this.#close(id, upload)));
  }

  #check(name: RepositoryName, id: string): void {
    const row = this.#deps.records.uploads
      .query<{ repository: string }, [string]>("SELECT repository FROM upload WHERE id = ?")
      .get(id);
    if (row?.repository !== name) throw unknownUpload(id);
  }

  #slot(id: string): OpenUpload {
    let upload = this.#open.get(id);
    if (!upload) {
      upload = { mutex: new Mutex(), ingest: undefined, holder: undefined, timer: undefined, over: false };
      this.#open.set(id, upload);
    }
    return upload;
  }

  #touch(id: string): void {
    this.#deps.records.uploads
      .query("UPDATE upload SET used = ? WHERE id = ?")
      .run(this.#deps.clock.now(), id);
  }

  #park(id: string, upload: OpenUpload): void {
    // The oldest unused go first; the order of the map is that of last use.
    this.#open.delete(id);
    this.#open.set(id, upload);
    let parked = 0;
    for (const each of this.#open.values()) if (!each.holder) parked++;
    const close = (which: string, what: OpenUpload) => void this.#close(which, what).catch(() => undefined); // dispose aborts what it cannot keep
    if (upload.over) {
      close(id, upload);
      return;
    }
    upload.timer = setTimeout(() => close(id, upload), parkedMs);
    upload.timer.unref();
    for (const [oldId, old] of this.#open) {
      if (parked-- <= maxParked) break;
      if (!old.holder && old !== upload) close(oldId, old);
    }
  }

  async #close(id: string, upload: OpenUpload): Promise<void> {
    clearTimeout(upload.timer);
    using _turn = await upload.mutex.lock();
    const { ingest } = upload;
    upload.ingest = undefined;
    await ingest?.[Symbol.asyncDispose]();
    // Unless somebody waits for it.
    if (upload.over || (!upload.holder && this.#open.get(id) === upload)) this.#open.delete(id);
  }
}

function unknownUpload(id: string): SpecError {
  return new SpecError("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", { upload: id.slice(0, 64) });
}
