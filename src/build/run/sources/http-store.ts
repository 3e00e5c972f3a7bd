import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../base/lib/clock.ts";
import { invalid, TugError } from "../../../base/lib/errors.ts";
import { type Digest, randomId } from "../../../base/lib/ids.ts";
import { KeyedMutex } from "../../../base/lib/mutex.ts";
import { Digester, digestOf, splitDigest } from "../../../base/spec/oci/digest.ts";
import { systemNames } from "../../../core/distribution/http/names.ts";
import { transportError } from "../../../core/distribution/http/transport-error.ts";
import { inTurn } from "../in-turn.ts";
import type { StepProgress } from "../runner.ts";

export interface HttpStoreDeps {
  /** A directory of its own below the data root. */
  readonly root: string;
  readonly clock: Clock;
  /** Bytes that one file may have. */
  readonly sizeLimit: number;
}

/** What a URL had when it was last fetched. */
export interface FetchedFile {
  readonly url: string;
  readonly digest: Digest;
  readonly size: number;
  readonly etag: string | null;
  readonly lastModified: string | null;
  readonly disposition: string | null;
}

export interface KeptDownload {
  readonly id: string;
  readonly description: string;
  /** On disk. */
  readonly bytes: number;
  readonly lastUsed: number;
  readonly inUse: boolean;
}

export interface FetchOptions {
  readonly signal: AbortSignal;
  readonly progress?: StepProgress;
  /** Gives the bytes in the network's stead: what a client uploads, once. */
  readonly upload?: () => Promise<ReadableStream<Uint8Array>>;
  /** A header that the URL's own host is sent, and none that it redirects to. In front of what the URL says. */
  readonly authorization?: () => Promise<string | undefined>;
}

const redirectLimit = 10;

/** Files of the network, kept by their digest; a URL is asked again each time, but sent only when it has something new. */
export class HttpStore {
  readonly #deps: HttpStoreDeps;
  readonly #names = systemNames();
  readonly #locks = new KeyedMutex();
  /** Who still reads a file. */
  readonly #readers = new Map<string, Set<AbortSignal>>();

  constructor(deps: HttpStoreDeps) {
    this.#deps = deps;
    for (const name of ["blobs", "urls"]) mkdirSync(join(deps.root, name), { recursive: true, mode: 0o700 });
    for (const name of readdirSync(join(deps.root, "blobs"))) {
      if (name.endsWith(".part")) rmSync(join(deps.root, "blobs", name), { force: true });
    }
  }

  /** Path of a file's bytes. */
  path(digest: Digest): string {
    return join(this.#deps.root, "blobs", splitDigest(digest).hex);
  }

  has(digest: Digest): boolean {
    return digest.startsWith("sha256:") && existsSync(this.path(digest));
  }

  /** Brings a URL's file up to date. Throws invalid-argument for another scheme, a bad status, or a file over the limit. */
  async fetch(url: string, options: FetchOptions): Promise<FetchedFile> {
    return await inTurn(this.#locks, url, options.signal, async () => {
      if (options.upload) return await this.#save(url, new Response(await options.upload()), options);
      const known = await this.#known(url);
      const response = await this.#request(url, known, options);
      try {
        if (response.status === 304 && known) {
          this.#used(known.digest);
          return known;
        }
        if (!response.ok) throw invalid(`invalid response status ${response.status}`);
        return await this.#save(url, response, options);
      } finally {
        await response.body?.cancel().catch(() => undefined);
      }
    });
  }

  list(): KeptDownload[] {
    return readdirSync(join(this.#deps.root, "blobs"))
      .filter((name) => !name.endsWith(".part"))
      .map((name) => {
        const { blocks, mtimeMs } = statSync(join(this.#deps.root, "blobs", name));
        const size = blocks * 512;
        const inUse = this.#readers.has(name);
        return { id: name, description: "http source", bytes: size, lastUsed: mtimeMs, inUse };
      });
  }

  /** Keeps a file until that has ended. */
  keep(digest: Digest, until: AbortSignal): void {
    if (until.aborted) return;
    const { hex } = splitDigest(digest);
    const readers = this.#readers.get(hex) ?? new Set();
    this.#readers.set(hex, readers.add(until));
    const end = () => {
      readers.delete(until);
      if (readers.size === 0 && this.#readers.get(hex) === readers) this.#readers.delete(hex);
    };
    until.addEventListener("abort", end, { once: true });
  }

  /** False while somebody reads it, and when there is none of that name; what is known of URLs that had it goes with it. */
  async remove(id: string): Promise<boolean> {
    const path = join(this.#deps.root, "blobs", id);
    if (!/^[0-9a-f]{64}$/.test(id) || !existsSync(path) || this.#readers.has(id)) return false;
    rmSync(path, { force: true });
    for (const name of readdirSync(join(this.#deps.root, "urls"))) {
      const text = await Bun.file(join(this.#deps.root, "urls", name)).text();
      if (text.includes(id)) rmSync(join(this.#deps.root, "urls", name), { force: true });
    }
    return true;
  }

  #record(url: string): string {
    return join(this.#deps.root, "urls", `${splitDigest(digestOf(url)).hex}.json`);
  }

  async #known(url: string): Promise<FetchedFile | undefined> {
    const file = Bun.file(this.#record(url));
    if (!(await file.exists())) return undefined;
    try {
      const known = (await file.json()) as FetchedFile;
      // Files are not synced: after a power cut one may be shorter than it was.
      const whole = this.has(known.digest) && statSync(this.path(known.digest)).size === known.size;
      return whole && known.url === url ? known : undefined;
    } catch (error) {
      if (error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  async #request(url: string, known: FetchedFile | undefined, options: FetchOptions): Promise<Response> {
    const { signal } = options;
    const headers: Record<string, string> = { "accept-encoding": "identity", "user-agent": "tug" };
    if (known?.etag) headers["if-none-match"] = known.etag;
    else if (known?.lastModified) headers["if-modified-since"] = known.lastModified;
    let at = readUrl(url);
    const { origin } = at;
    const secret = await options.authorization?.();
    for (let hop = 0; ; hop++) {
      const own = takeCredentials(at);
      const authorization = at.origin === origin ? (secret ?? own) : own;
      const response = await fetch(at, {
        headers: authorization === undefined ? headers : { ...headers, authorization },
        redirect: "manual",
        signal,
        decompress: false,
      }).catch(async (error: unknown) => {
        signal.throwIfAborted();
        throw await transportError(error, "GET", at.href, false, this.#names);
      });
      const location = response.headers.get("location");
      if (![301, 302, 303, 307, 308].includes(response.status) || location === null) return response;
      await response.body?.cancel();
      if (hop >= redirectLimit) throw invalid(`stopped after ${redirectLimit} redirects`);
      at = readUrl(new URL(location, at).href);
    }
  }

  async #save(url: string, response: Response, options: FetchOptions): Promise<FetchedFile> {
    const { sizeLimit } = this.#deps;
    const total = Number(response.headers.get("content-length") ?? 0);
    const tooLarge = () => invalid(`${url} has more than ${sizeLimit} bytes`);
    if (total > sizeLimit) throw tooLarge();
    const part = join(this.#deps.root, "blobs", `${randomId().slice(0, 16)}.part`);
    const digester = new Digester();
    const report = (done: boolean) =>
      options.progress?.part(`downloading ${new URL(url).pathname}`, {
        current: digester.bytes,
        total,
        done,
      });
    const fd = openSync(part, "wx", 0o600);
    try {
      try {
        for await (const chunk of response.body ?? []) {
          for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
          digester.update(chunk);
          if (digester.bytes > sizeLimit) throw tooLarge();
          report(false);
        }
      } finally {
        closeSync(fd);
      }
      options.signal.throwIfAborted();
      if (total > 0 && digester.bytes !== total)
        throw new TugError("unavailable", `${url}: ${digester.bytes} of ${total} bytes came`);
      report(true);
      const size = digester.bytes;
      const digest = digester.digest();
      renameSync(part, this.path(digest));
      const { headers } = response;
      const fetched: FetchedFile = {
        url,
        digest,
        size,
        etag: headers.get("etag"),
        lastModified: headers.get("last-modified"),
        disposition: headers.get("content-disposition"),
      };
      if (options.upload) return fetched; // its address means nothing a second time
      writeFileSync(`${this.#record(url)}.part`, JSON.stringify(fetched), { mode: 0o600 });
      renameSync(`${this.#record(url)}.part`, this.#record(url));
      return fetched;
    } catch (error) {
      rmSync(part, { force: true });
      options.signal.throwIfAborted();
      throw error;
    }
  }

  #used(digest: Digest): void {
    const now = this.#deps.clock.now() / 1000;
    utimesSync(this.path(digest), now, now);
  }
}

function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:")
    throw invalid(`${text} is no http or https URL`);
  return url;
}

function takeCredentials(url: URL): string | undefined {
  if (url.username === "" && url.password === "") return undefined;
  const plain = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  url.username = "";
  url.password = "";
  return `Basic ${Buffer.from(plain).toString("base64")}`;
}
