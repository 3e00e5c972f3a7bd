import { TugError } from "../../base/lib/errors.ts";
import type {
  BuildSession,
  ContextFiles,
  DuplexBytes,
  LentBlob,
  SessionCredentials,
  SessionExports,
} from "../session.ts";

/** What a step of several builds sees of their clients: any of those that are still there may answer. */
export class SharedSession implements BuildSession {
  readonly id: string;
  readonly sharedKey: string;
  readonly signal: AbortSignal;
  readonly files: ContextFiles | undefined;
  readonly exports: SessionExports | undefined;
  readonly #sessions: () => readonly BuildSession[];

  /** `signal` is the step's own: it ends with the last of its builds. */
  constructor(first: BuildSession, signal: AbortSignal, sessions: () => readonly BuildSession[]) {
    this.id = first.id;
    this.sharedKey = first.sharedKey;
    this.files = first.files;
    this.exports = first.exports;
    this.signal = signal;
    this.#sessions = sessions;
  }

  lender(id: string): BuildSession | undefined {
    for (const session of this.#sessions()) {
      const found = session.id === id ? session : session.lender?.(id);
      if (found) return found;
    }
    return undefined;
  }

  async secret(id: string): Promise<Uint8Array | undefined> {
    return await this.#first((session) => session.secret(id));
  }

  async hasSsh(id: string): Promise<boolean> {
    return (await this.#first(async (session) => (await session.hasSsh(id)) || undefined)) ?? false;
  }

  async ssh(id: string): Promise<DuplexBytes> {
    const found = await this.#first(async (session) =>
      (await session.hasSsh(id)) ? await session.ssh(id) : undefined,
    );
    if (!found) throw new TugError("not-found", `unset ssh forward key ${id}`);
    return found;
  }

  async upload(url: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const found = await this.#first(async (session) => await session.upload?.(url, signal));
    if (!found) throw new TugError("not-found", `the client uploads nothing: ${url}`);
    return found;
  }

  async blob(
    store: string,
    digest: string,
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array> | undefined> {
    return await this.#first(async (session) => await session.blob?.(store, digest, signal));
  }

  async putBlob(store: string, blob: LentBlob, signal: AbortSignal): Promise<boolean> {
    const put = await this.#first(
      async (session) => (await session.putBlob?.(store, blob, signal)) || undefined,
    );
    return put ?? false;
  }

  async credentials(host: string): Promise<SessionCredentials | undefined> {
    return await this.#first((session) => session.credentials(host));
  }

  /** The first answer; a client that fails counts only when no other answers. */
  async #first<T>(ask: (session: BuildSession) => Promise<T | undefined>): Promise<T | undefined> {
    let failure: { readonly error: unknown } | undefined;
    for (const session of this.#sessions()) {
      try {
        const answer = await ask(session);
        if (answer !== undefined) return answer;
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure) throw failure.error;
    return undefined;
  }
}
