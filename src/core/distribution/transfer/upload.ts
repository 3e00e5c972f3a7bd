import { TugError } from "../../../base/lib/errors.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import type { ContentStore } from "../../content/content.ts";
import type { PushOptions } from "../distribution.ts";
import { RegistryError } from "../http/registry-error.ts";
import type { Attempt } from "../http/retry.ts";
import type { Session } from "../http/session.ts";
import type { Exchange } from "../http/transport.ts";

/** A peer that takes nothing for so long, or does not answer after the last byte, is taken for dead. */
const stallLimit = 5 * 60_000;

/** A blob on its way up: the data in one streamed PATCH (continued after a cut), then a PUT that closes it. */
export class Upload {
  readonly #blob: Descriptor;
  /** Where the next request goes; changes with every answer. */
  #location: string;
  /** Bytes the registry has. */
  #offset = 0;

  private constructor(blob: Descriptor, location: string) {
    this.#blob = blob;
    this.#location = location;
  }

  static at(exchange: Exchange, session: Session, blob: Descriptor): Upload {
    return new Upload(blob, locationOf(exchange, session));
  }

  /** Asks how far the upload got; false when the registry has forgotten it. */
  async resume(session: Session, signal: AbortSignal | undefined, control: Attempt): Promise<boolean> {
    try {
      using exchange = await session.send({
        method: "GET",
        path: this.#location,
        expect: [200, 202, 204],
        signal,
      });
      const end = /^(?:bytes=)?0-([0-9]+)$/.exec(exchange.response.headers.get("range") ?? "")?.[1];
      // "0-0" is both nothing and one byte (registries answer it to an empty upload); starting over is always right.
      if (end === undefined || end === "0" || Number(end) >= this.#blob.size) return false;
      // Only what the registry admits to have counts as progress, not what was sent.
      if (Number(end) + 1 > this.#offset) control.progressed();
      this.#offset = Number(end) + 1;
      this.#location = locationOf(exchange, session, this.#location);
      return true;
    } catch (error) {
      if (error instanceof RegistryError && error.status < 500) return false;
      throw error;
    }
  }

  /** Gives the upload up. A registry that will not hear of it forgets it by itself in time. */
  async cancel(session: Session, signal: AbortSignal | undefined): Promise<void> {
    try {
      const exchange = await session.send({
        method: "DELETE",
        path: this.#location,
        expect: [200, 202, 204],
        signal,
      });
      exchange[Symbol.dispose]();
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
    }
  }

  /** Sends what the registry lacks and closes the upload under the blob's digest. */
  async run(session: Session, content: ContentStore, options: PushOptions): Promise<void> {
    const { digest, size } = this.#blob;
    if (this.#offset < size) await this.#patch(session, content, options);
    const url = new URL(this.#location);
    url.searchParams.set("digest", digest);
    using exchange = await session.send({
      method: "PUT",
      path: url.href,
      headers: { "Content-Type": "application/octet-stream" },
      body: () => new Uint8Array(),
      expect: [201, 202, 204],
      signal: options.signal,
      headTimeout: stallLimit,
    });
    const stored = exchange.response.headers.get("docker-content-digest");
    if (stored !== null && stored !== digest) {
      throw new TugError("data-loss", `the registry stored ${stored} instead of ${digest}`);
    }
    options.onProgress?.(size, size);
  }

  async #patch(session: Session, content: ContentStore, options: PushOptions): Promise<void> {
    const { digest, size } = this.#blob;
    const from = this.#offset;
    const stalled = new AbortController();
    const timer = setTimeout(() => {
      stalled.abort(new TugError("unavailable", `upload of ${digest} stalled`));
    }, stallLimit);
    try {
      using exchange = await session.send({
        method: "PATCH",
        path: this.#location,
        headers: {
          "Content-Type": "application/octet-stream",
          "Content-Length": String(size - from),
          ...(from > 0 && { "Content-Range": `${from}-${size - 1}` }),
        },
        body: () =>
          counted(content.stream(digest, from), (sent) => {
            timer.refresh();
            options.onProgress?.(from + sent, size);
          }),
        expect: [201, 202, 204],
        signal: options.signal ? AbortSignal.any([options.signal, stalled.signal]) : stalled.signal,
        headTimeout: 0,
      });
      this.#location = locationOf(exchange, session, this.#location);
      this.#offset = size;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The stream, telling how much of it was taken so far. */
function counted(
  stream: ReadableStream<Uint8Array>,
  onBytes: (sent: number) => void,
): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  let sent = 0;
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) return controller.close();
      sent += value.byteLength;
      onBytes(sent);
      controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

/** The upload's next address. A registry behind a TLS proxy may think itself plain HTTP: its scheme is not believed then. */
function locationOf(exchange: Exchange, session: Session, otherwise?: string): string {
  const text = exchange.response.headers.get("location") ?? otherwise;
  if (text === undefined || !URL.canParse(text, exchange.url)) {
    throw new TugError("unavailable", "the registry gave no location for the upload");
  }
  const url = new URL(text, exchange.url);
  const base = new URL(session.endpoint.base);
  if (url.protocol === "http:" && base.protocol === "https:" && url.host === base.host)
    url.protocol = "https:";
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new TugError("unavailable", "the registry gave no location for the upload");
  }
  return url.href;
}
