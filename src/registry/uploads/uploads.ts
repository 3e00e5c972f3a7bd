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
  ingest: Promise<Ingest> | undefined;
  /** Ends the request that is writing now. */
  holder: AbortController | undefined;
  /** Number of the last request that wanted it: of those that wait only this one gets it. */
  newest: number;
  /** Requests that have it or wait for it. */
  users: number;
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
    const mine = ++upload.newest;
    upload.users++;
    upload.holder?.abort(takenOver());
    try {
      using _turn = await upload.mutex.lock();
      // Whoever had it before may have finished it.
      if (upload.over) throw unknownUpload(id);
      if (mine !== upload.newest) throw takenOver();
      const holder = new AbortController();
      upload.holder = holder;
      try {
        return await work(await this.#ingest(id, upload), holder.signal);
      } finally {
        upload.holder = undefined;
        this.#touch(id);
      }
    } finally {
      upload.users--;
      this.#park(id, upload);
    }
  }

  /** Bytes the session has; whoever writes it goes on writing. */
  async offset(name: RepositoryName, id: string): Promise<number> {
    this.#check(name, id);
    const upload = this.#slot(id);
    upload.users++;
    try {
      const { offset } = await this.#ingest(id, upload);
      if (upload.over) throw unknownUpload(id);
      return offset;
    } finally {
      upload.users--;
      this.#park(id, upload);
    }
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
      upload.users = 0;
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
      upload = {
        mutex: new Mutex(),
        ingest: undefined,
        holder: undefined,
        newest: 0,
        users: 0,
        timer: undefined,
        over: false,
      };
      this.#open.set(id, upload);
    }
    return upload;
  }

  async #ingest(id: string, upload: OpenUpload): Promise<Ingest> {
    upload.ingest ??= this.#deps.storage.begin(id);
    const opening = upload.ingest;
    try {
      return await opening;
    } catch (error) {
      if (upload.ingest === opening) upload.ingest = undefined;
      throw error;
    }
  }

  #touch(id: string): void {
    this.#deps.records.uploads
      .query("UPDATE upload SET used = ? WHERE id = ?")
      .run(this.#deps.clock.now(), id);
  }

  /** Unless somebody has it or waits for it, it is closed: at once when it is over, or when too many rest, or later. */
  #park(id: string, upload: OpenUpload): void {
    if (upload.users > 0) return;
    const close = (which: string, what: OpenUpload) => void this.#close(which, what).catch(() => undefined); // dispose aborts what it cannot keep
    if (upload.over) {
      close(id, upload);
      return;
    }
    // The order of the map is that of last use.
    this.#open.delete(id);
    this.#open.set(id, upload);
    clearTimeout(upload.timer);
    upload.timer = setTimeout(() => close(id, upload), parkedMs);
    upload.timer.unref();
    const resting = [...this.#open].filter(([, each]) => each.users === 0);
    for (const [oldId, old] of resting.slice(0, Math.max(0, resting.length - maxParked))) close(oldId, old);
  }

  async #close(id: string, upload: OpenUpload): Promise<void> {
    clearTimeout(upload.timer);
    using _turn = await upload.mutex.lock();
    if (upload.users > 0 && !upload.over) return;
    const { ingest } = upload;
    upload.ingest = undefined;
    await (await ingest)?.[Symbol.asyncDispose]();
    if (upload.users === 0 && this.#open.get(id) === upload) this.#open.delete(id);
  }
}

function takenOver(): TugError {
  return new TugError("cancelled", "another request took over the upload");
}

function unknownUpload(id: string): SpecError {
  return new SpecError("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", { upload: id.slice(0, 64) });
}
