import { chmodSync, constants, utimesSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { notFound, TugError } from "../../../base/lib/errors.ts";
import type { ChainId, Digest } from "../../../base/lib/ids.ts";
import { redactUrl } from "../../../base/lib/redact-url.ts";
import { type BuildSession, uploadPrefix } from "../../../base/spec/builder/session.ts";
import { digestOf, splitDigest } from "../../../base/spec/oci/digest.ts";
import type { HttpSource } from "../../graph.ts";
import type { SourceRunner, StepContext, StepSnapshots } from "../runner.ts";
import { httpFileName } from "./http-name.ts";
import type { FetchedFile, HttpStore } from "./http-store.ts";
import { secretLine } from "./secret-line.ts";

export interface HttpRunnerDeps {
  readonly store: HttpStore;
  readonly snapshots: StepSnapshots;
}

/** Uploads that are remembered; a build has one. */
const maxUploads = 100;

interface Known {
  readonly digest: Digest;
  readonly filename: string;
  readonly lastModified: string | null;
}

/** A file of the network as a tree with that file in it: mode 0600, owned by root, as old as the server says. */
export class HttpRunner implements SourceRunner<HttpSource> {
  readonly #deps: HttpRunnerDeps;
  /** What a step of a session was told: key and snapshot mean the same file. */
  readonly #told = new WeakMap<AbortSignal, Map<string, Known>>();

  /** What clients uploaded, by its address: it comes once and several steps of a build read it. */
  readonly #uploaded = new Map<string, Known>();

  constructor(deps: HttpRunnerDeps) {
    this.#deps = deps;
  }

  async key(step: StepContext<HttpSource>): Promise<Digest> {
    const { checksum, url, filename } = step.op;
    // What it must be is known: nothing is asked for.
    if (checksum !== undefined) {
      pin(step, checksum);
      return digestOf(JSON.stringify(["http", filename || httpFileName(url, null), checksum]));
    }
    // The time is the file's: a build may take its own from there.
    const known = await this.#fetch(step);
    pin(step, known.digest);
    return digestOf(JSON.stringify(["http", known.filename, known.digest, known.lastModified]));
  }

  async snapshot(step: StepContext<HttpSource>): Promise<ChainId> {
    const known = this.#remembered(step) ?? (await this.#fetch(step));
    const { store, snapshots } = this.#deps;
    return await snapshots.make(undefined, async ({ layout }) => {
      const directory = layout.kind === "overlay" ? layout.upper : layout.tree;
      const file = join(directory, known.filename);
      // It may be of many gigabytes: the daemon goes on meanwhile.
      await copyFile(store.path(known.digest), file, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      chmodSync(file, 0o600);
      const time = Date.parse(known.lastModified ?? "") / 1000;
      const seconds = Number.isFinite(time) ? time : 0;
      utimesSync(file, seconds, seconds);
    });
  }

  async #fetch(step: StepContext<HttpSource>): Promise<Known> {
    const { op, signal, progress, session: client } = step;
    const uploaded = op.url.startsWith(uploadPrefix);
    const before = uploaded ? this.#uploaded.get(op.url) : undefined;
    if (before && this.#deps.store.has(before.digest)) return before;
    const upload = uploaded ? async () => await uploadOf(client, op.url, signal) : undefined;
    const fetched = await this.#deps.store.fetch(op.url, {
      ...{ signal, progress, ...(upload && { upload }) },
      authorization: async () => await authorizationFor(op.url, client),
    });
    if (op.checksum !== undefined && fetched.digest !== op.checksum) {
      throw new TugError(
        "data-loss",
        `digest mismatch for ${redactUrl(op.url)}: ${fetched.digest} (expected: ${op.checksum})`,
      );
    }
    const known = knownOf(op, fetched);
    this.#deps.store.keep(known.digest, step.session.signal);
    if (uploaded) this.#rememberUpload(op.url, known);
    const session = step.session.signal;
    const told = this.#told.get(session) ?? new Map<string, Known>();
    this.#told.set(session, told.set(step.vertex.digest, known));
    return known;
  }

  #rememberUpload(url: string, known: Known): void {
    this.#uploaded.set(url, known);
    for (const oldest of this.#uploaded.keys()) {
      if (this.#uploaded.size <= maxUploads) return;
      this.#uploaded.delete(oldest);
    }
  }

  #remembered(step: StepContext<HttpSource>): Known | undefined {
    const known = this.#told.get(step.session.signal)?.get(step.vertex.digest);
    return known && this.#deps.store.has(known.digest) ? known : undefined;
  }
}

function pin({ pinned }: StepContext<HttpSource>, digest: Digest): void {
  const { algorithm, hex } = splitDigest(digest);
  pinned?.({ [algorithm]: hex });
}

/** The session's secret for a host: HTTP_AUTH_TOKEN_ or HTTP_AUTH_HEADER_ and its name (BuildKit, source/http). */
async function authorizationFor(url: string, session: BuildSession): Promise<string | undefined> {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  const token = await secretLine(session, `HTTP_AUTH_TOKEN_${host}`);
  return token === undefined ? await secretLine(session, `HTTP_AUTH_HEADER_${host}`) : `Bearer ${token}`;
}

async function uploadOf(
  client: BuildSession,
  url: string,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const body = await client.upload?.(url, signal);
  if (!body) throw notFound(`the client uploads nothing: ${url}`);
  return body;
}

function knownOf(op: HttpSource, fetched: FetchedFile): Known {
  const { digest, lastModified, disposition } = fetched;
  return { digest, lastModified, filename: op.filename || httpFileName(op.url, disposition) };
}
