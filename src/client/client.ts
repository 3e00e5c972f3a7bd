import { invalid, TugError } from "../base/lib/errors.ts";
import type { Address, TlsOptions } from "./address.ts";
import { daemonError } from "./errors.ts";
import type { Connection } from "./http/connection.ts";
import type { Head } from "./http/response.ts";
import { type HttpReply, type RequestBody, type RequestHeaders, Transport } from "./http/transport.ts";
import { encodeQuery, type Query } from "./query.ts";
import { clientApiVersion, compareVersions, minimumApiVersion } from "./version.ts";

/** One API call, without the version prefix. */
export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE" | "HEAD";
  /** Starts with a slash; segments already encoded (see `segment`). */
  readonly path: string;
  readonly query?: Query | undefined;
  /** The API version that has what is asked, where it is newer than ours; a daemon that is older says so. */
  readonly since?: string | undefined;
  readonly headers?: RequestHeaders | undefined;
  /** Sent as JSON; a function is asked again when a lower API version turns out to be needed. */
  readonly json?: unknown;
  readonly body?: RequestBody | undefined;
  readonly contentType?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ClientOptions {
  readonly address: Address;
  readonly tls?: TlsOptions | undefined;
  /** Extra headers of every request (config.json's HttpHeaders). */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** A fixed API version (DOCKER_API_VERSION): nothing is negotiated then. */
  readonly version?: string | undefined;
}

/**
 * A daemon to call. The version is negotiated without a round trip of its own: the first request goes out at the newest
 * version, and only a daemon that finds it too new makes it repeat at the daemon's. A request whose body can be sent only
 * once asks /_ping first.
 */
export class Client {
  readonly address: Address;
  readonly #transport: Transport;
  readonly #fixed: boolean;
  #version: string;
  #known: boolean;

  constructor(options: ClientOptions) {
    this.address = options.address;
    this.#transport = new Transport(options.address, options.tls, options.headers);
    this.#fixed = options.version !== undefined;
    this.#version = options.version ?? clientApiVersion;
    this.#known = this.#fixed;
  }

  /** The version in use so far; final once a request succeeded. */
  get version(): string {
    return this.#version;
  }

  /** True when the version in use is `version` or newer. */
  speaks(version: string): boolean {
    return compareVersions(this.#version, version) >= 0;
  }

  /** Settles the version by asking. */
  async negotiate(signal?: AbortSignal): Promise<string> {
    if (this.#known) return this.#version;
    const reply = await this.#transport.send({ method: "GET", target: "/_ping", signal });
    await reply.body.text();
    this.#learn(reply.headers["api-version"]);
    return this.#version;
  }

  warm(connections: number): void {
    this.#transport.warm(connections);
  }

  /** Sends and gives back the reply with its body unread; an error status is thrown. */
  async send(request: ApiRequest): Promise<HttpReply> {
    return await this.#negotiating(request, async () => {
      const reply = await this.#transport.send(this.#encode(request));
      return { value: reply, head: reply, text: () => reply.body.text() };
    });
  }

  /** Sends and parses the JSON reply. The wire shapes are the caller's word: see base/spec/docker. */
  async json<T>(request: ApiRequest): Promise<T> {
    const reply = await this.send(request);
    const text = await reply.body.text();
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw new TugError("internal", "the daemon's reply is not valid JSON", { cause });
    }
  }

  /** Sends and reads the reply as text. */
  async text(request: ApiRequest): Promise<string> {
    return await (await this.send(request)).body.text();
  }

  /** Takes the connection over as a raw stream in both directions. */
  async hijack(request: ApiRequest): Promise<{ readonly head: Head; readonly stream: Connection }> {
    return await this.#negotiating(request, async () => {
      const answer = await this.#transport.upgrade(this.#encode(request));
      if (answer.upgraded) return { value: answer, head: answer.head, text: async () => "" };
      const { reply } = answer;
      if (reply.status < 400) {
        reply.body.cancel();
        throw new TugError("internal", "the daemon did not switch to a raw stream");
      }
      return { value: undefined, head: reply, text: () => reply.body.text() };
    });
  }

  close(): void {
    this.#transport.close();
  }

  async #negotiating<T>(
    request: ApiRequest,
    attempt: () => Promise<{ value: T | undefined; head: Head; text(): Promise<string> }>,
  ): Promise<T> {
    const once = request.body !== undefined && typeof request.body !== "string";
    if (once && !this.#known) await this.negotiate(request.signal);
    for (;;) {
      const tried = this.#version;
      const { value, head, text } = await attempt();
      if (head.status < 400 && value !== undefined) {
        this.#known = true;
        return value;
      }
      const body = request.method === "HEAD" ? "" : await text();
      const offered = head.headers["api-version"];
      const tooNew =
        head.status === 400 && !this.#fixed && offered !== undefined && compareVersions(offered, tried) < 0;
      if (!tooNew) throw daemonError(head.status, body);
      this.#learn(offered);
    }
  }

  /** Takes the lower of both sides' newest versions, as Docker's clients do. */
  #learn(offered: string | undefined): void {
    this.#known = true;
    if (this.#fixed) return;
    const theirs = offered !== undefined && /^\d+\.\d+$/.test(offered) ? offered : minimumApiVersion;
    if (compareVersions(theirs, this.#version) < 0) this.#version = theirs;
  }

  #encode(request: ApiRequest) {
    const json =
      request.json === undefined
        ? undefined
        : typeof request.json === "function"
          ? request.json()
          : request.json;
    const newer = request.since !== undefined && !this.#fixed && !this.speaks(request.since);
    const version = newer ? request.since : this.#version;
    const type = json !== undefined ? "application/json" : request.contentType;
    return {
      method: request.method,
      target: `/v${version}${request.path}${encodeQuery(request.query)}`,
      headers: type === undefined ? request.headers : { ...request.headers, "Content-Type": type },
      body: json === undefined ? request.body : JSON.stringify(json),
      signal: request.signal,
    };
  }
}

/** Encodes one path segment, so that a name cannot change the request's path; an empty one is refused as Docker does. */
export function segment(text: string, noun = "container"): string {
  const name = text.trim();
  if (name === "") throw invalid(`invalid ${noun} name or ID: value is empty`);
  return encodeURIComponent(name);
}

/** The same for image names, whose slashes stay. */
export function imagePath(text: string): string {
  return segment(text, "image").replaceAll("%2F", "/").replaceAll("%3A", ":").replaceAll("%40", "@");
}
