import { TugError } from "../../../base/lib/errors.ts";
import type { TlsSettings } from "../endpoints/certificates.ts";
import { isMetadataAddress, type ProxyConfig, proxyFor } from "../registry-config.ts";
import { type Names, requestPrefix, TransportError, transportError } from "./transport-error.ts";

export interface TransportRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent only to the origin of `url`: a redirect to another one does not carry it. */
  readonly authorization?: string | undefined;
  /** Headers that go where `authorization` goes. */
  readonly homeHeaders?: Readonly<Record<string, string>>;
  /** Makes the body, once for each time it has to be sent. */
  readonly body?: (() => ReadableStream<Uint8Array> | Uint8Array | string) | undefined;
  /** The body is a credential: it is never sent on to another origin. */
  readonly secretBody?: boolean;
  readonly tls: TlsSettings;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until the response's head; 0 waits for ever (an upload sends its body first). */
  readonly headTimeout?: number;
  /** Redirects from HTTPS to plain HTTP are followed only for bodies whose digest is checked. */
  readonly allowDowngrade?: boolean;
}

/** A response whose body still comes. Disposal gives up what was not read of it. */
export interface Exchange extends Disposable {
  readonly response: Response;
  readonly method: string;
  /** After redirects. */
  readonly url: string;
  /** The operation's own signal: its reason is what an interrupted read is about. */
  readonly signal: AbortSignal | undefined;
}

const redirects = new Set([301, 302, 303, 307, 308]);
const maxRedirects = 10;

/** HTTP as a registry client needs it: proxies, certificates, redirects that leak nothing, Docker's error texts. */
export class Transport {
  readonly #deps: { readonly userAgent: string; readonly proxy: ProxyConfig; readonly names: Names };
  constructor(deps: { readonly userAgent: string; readonly proxy: ProxyConfig; readonly names: Names }) {
    this.#deps = deps;
  }

  async send(request: TransportRequest): Promise<Exchange> {
    let { url, method } = request;
    let body = request.body;
    const origin = new URL(url).origin;
    for (let hops = 0; ; hops++) {
      const home = new URL(url).origin === origin;
      const exchange = await this.#once({ ...request, url, method, body }, home);
      const location = exchange.response.headers.get("location");
      if (!redirects.has(exchange.response.status) || location === null) return exchange;
      exchange[Symbol.dispose]();
      const next = this.#redirected(location, url, request);
      if (hops >= maxRedirects)
        throw new TugError("unavailable", `${requestPrefix(method, url)}stopped after 10 redirects`);
      const status = exchange.response.status;
      if (status === 303 || (status < 303 && method === "POST")) {
        // RFC 9110 15.4.4, and what user agents do with 301 and 302 on POST.
        method = method === "HEAD" ? "HEAD" : "GET";
        body = undefined;
      }
      url = next;
    }
  }

  #redirected(location: string, from: string, request: TransportRequest): string {
    const failed = (why: string) =>
      new TugError("unavailable", `${requestPrefix(request.method, from)}${why}`);
    if (!URL.canParse(location, from))
      throw failed(`failed to parse Location header ${JSON.stringify(location)}`);
    const next = new URL(location, from);
    if (next.protocol !== "https:" && next.protocol !== "http:")
      throw failed(`unsupported protocol scheme in redirect`);
    if (isMetadataAddress(next) && !isMetadataAddress(new URL(from))) {
      throw failed(`refused a redirect to the link-local address ${next.host}`);
    }
    if (
      from.startsWith("https:") &&
      next.protocol === "http:" &&
      request.tls.verify &&
      !request.allowDowngrade
    ) {
      throw failed(`refused a redirect from https to ${next.origin}`);
    }
    if (request.secretBody && next.origin !== new URL(from).origin) {
      throw failed(`refused to send credentials on to ${next.origin}`);
    }
    return next.href;
  }

  async #once(request: TransportRequest, home: boolean): Promise<Exchange> {
    if (request.signal?.aborted) throw cancelled(request.signal);
    const proxy = proxyFor(new URL(request.url), this.#deps.proxy);
    const controller = new AbortController();
    const abort = () => controller.abort(request.signal?.reason);
    request.signal?.addEventListener("abort", abort, { once: true });
    const limit = request.headTimeout ?? 30_000;
    let late = false;
    const timer = limit
      ? setTimeout(() => {
          late = true;
          controller.abort();
        }, limit)
      : undefined;
    try {
      const body = request.body?.();
      const response = await fetch(request.url, {
        method: request.method,
        redirect: "manual",
        signal: controller.signal,
        // A layer must arrive as the bytes its digest was made of: nothing on the way may decode it.
        decompress: false,
        // `false` also keeps the runtime from reading the environment by its own rules.
        proxy: proxy as string,
        timeout: false,
        headers: {
          "User-Agent": this.#deps.userAgent,
          "Accept-Encoding": "identity",
          ...(home && request.homeHeaders),
          ...request.headers,
          ...(home && request.authorization !== undefined && { Authorization: request.authorization }),
        },
        tls: tlsOptions(request.tls, home),
        ...(body !== undefined && { body }),
      } as BunFetchRequestInit);
      return {
        response,
        method: request.method,
        url: request.url,
        signal: request.signal,
        [Symbol.dispose]: () => {
          request.signal?.removeEventListener("abort", abort);
          controller.abort();
        },
      };
    } catch (error) {
      request.signal?.removeEventListener("abort", abort);
      if (request.signal?.aborted) throw cancelled(request.signal);
      if (late) {
        const text =
          "net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)";
        const prefix = requestPrefix(request.method, request.url);
        throw new TransportError("timeout", request.url, `${prefix}${text}`);
      }
      throw await transportError(error, request.method, request.url, proxy, this.#deps.names);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** What an aborted operation throws. */
export function cancelled(signal: AbortSignal): TugError {
  if (signal.reason instanceof TugError) return signal.reason;
  return new TugError("cancelled", "context canceled", { cause: signal.reason });
}

function tlsOptions(tls: TlsSettings, home: boolean) {
  return {
    rejectUnauthorized: tls.verify,
    ...(tls.authorities.length > 0 && { ca: [...tls.authorities] }),
    // A client certificate names its owner: it goes to the registry itself only.
    ...(home && tls.client && { cert: tls.client.certificate, key: tls.client.key }),
  };
}
