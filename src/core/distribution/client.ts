import type { Clock } from "../../base/lib/clock.ts";
import { Semaphore } from "../../base/lib/semaphore.ts";
import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import type { Reference } from "../../base/spec/docker/reference.ts";
import type { Descriptor, Platform } from "../../base/spec/oci/descriptor.ts";
import { configLimit, parseImageConfig } from "../../base/spec/oci/parse-config.ts";
import { hostPlatform } from "../../base/spec/oci/platform.ts";
import type { ContentStore } from "../content/content.ts";
import { credentialsOf } from "./auth/credentials.ts";
import { login } from "./auth/login.ts";
import type {
  FetchOptions,
  FoundRepository,
  Pusher,
  PushOptions,
  RegistryClient,
  RemoteOptions,
  ResolvedImage,
} from "./distribution.ts";
import { fetchNamed } from "./documents.ts";
import { systemAuthorities } from "./endpoints/certificates.ts";
import { Connections } from "./http/connections.ts";
import { systemNames } from "./http/names.ts";
import { whenAsked } from "./http/retry.ts";
import type { Session } from "./http/session.ts";
import { Transport } from "./http/transport.ts";
import type { Names } from "./http/transport-error.ts";
import { pullError } from "./pull-error.ts";
import type { RegistryConfig } from "./registry-config.ts";
import { resolveImage } from "./resolve.ts";
import { searchRegistry } from "./search.ts";
import { listTags } from "./tags.ts";
import { fetchBlob } from "./transfer/blob-fetch.ts";
import { offerBlob, pushBlob, pushDocument } from "./transfer/push.ts";

interface Deps {
  readonly content: ContentStore;
  readonly clock: Clock;
  readonly config: RegistryConfig;
  /** The host's resolver unless a test brings its own. */
  readonly names?: Names;
}

/** Connections beyond each blob's first, over all pulls. */
const maxExtras = 8;

/** `RegistryClient` and `Pusher` over HTTP. */
export class HttpRegistryClient implements RegistryClient, Pusher {
  readonly #content: ContentStore;
  readonly #parts: ConstructorParameters<typeof Connections>[0] & {
    readonly content: ContentStore;
    readonly connections: Connections;
    readonly extras: Semaphore;
  };

  constructor(deps: Deps) {
    const { content, clock, config } = deps;
    const names = deps.names ?? systemNames();
    const transport = new Transport({ userAgent: config.userAgent, proxy: config.proxy, names });
    const extras = new Semaphore(maxExtras);
    const parts = { transport, clock, extras, config, names, systemAuthorities: systemAuthorities() };
    this.#content = content;
    this.#parts = { ...parts, content, connections: new Connections(parts) };
  }

  async resolve(ref: Reference, options: RemoteOptions): Promise<ResolvedImage> {
    // A collection while the second document of an index still comes must not take the first.
    using own = this.#content.lease();
    const leased = { ...options, lease: options.lease ?? own };
    return await this.#pulling(ref, options, (session) =>
      resolveImage(this.#context(session, ref, leased), options.platform ?? hostPlatform()),
    );
  }

  async fetch(ref: Reference, blob: Descriptor, options: RemoteOptions & FetchOptions): Promise<void> {
    try {
      await fetchBlob(this.#parts, ref, blob, credentialsOf(options.auth), options);
    } catch (error) {
      throw pullError(error, ref);
    }
  }

  async document(ref: Reference, options: RemoteOptions): Promise<Descriptor> {
    const { descriptor } = await this.#pulling(ref, options, (session) =>
      fetchNamed(this.#context(session, ref, options)),
    );
    return descriptor;
  }

  async search(
    domain: string,
    term: string,
    limit: number,
    options: RemoteOptions,
  ): Promise<readonly FoundRepository[]> {
    const { connections } = this.#parts;
    return await searchRegistry(
      connections,
      domain,
      term,
      limit,
      credentialsOf(options.auth),
      options.signal,
    );
  }

  async listTags(ref: Reference, options: RemoteOptions): Promise<readonly string[]> {
    return await this.#pulling(ref, options, (session) =>
      listTags(session, session.repository, options.signal),
    );
  }

  async describe(
    ref: Reference,
    options: RemoteOptions,
  ): Promise<{ readonly target: Descriptor; readonly platforms: readonly Platform[] }> {
    const { descriptor: target, document } = await this.#pulling(ref, options, (session) =>
      fetchNamed(this.#context(session, ref, options)),
    );
    if (document.kind === "index") {
      return { target, platforms: document.index.manifests.flatMap((each) => each.platform ?? []) };
    }
    if (document.kind === "schema1") return { target, platforms: [] };
    await this.fetch(ref, document.manifest.config, options);
    const bytes = await this.#content.read(document.manifest.config.digest, configLimit);
    const { os, architecture, variant } = parseImageConfig(bytes);
    return { target, platforms: [{ os, architecture, ...(variant !== undefined && { variant }) }] };
  }

  async login(
    server: string,
    auth: AuthConfig,
    signal?: AbortSignal,
  ): Promise<{ readonly status: string; readonly identityToken?: string }> {
    return await login(this.#parts.connections, server, auth, signal);
  }

  async push(
    ref: Reference,
    blob: Descriptor,
    options: PushOptions,
  ): Promise<"exists" | "mounted" | "uploaded"> {
    return await pushBlob(this.#parts, ref, blob, credentialsOf(options.auth), options);
  }

  async offer(
    ref: Reference,
    blob: Descriptor,
    options: PushOptions,
  ): Promise<"exists" | "mounted" | undefined> {
    return await offerBlob(this.#parts, ref, blob, credentialsOf(options.auth), options);
  }

  async pushManifest(
    ref: Reference,
    document: Uint8Array,
    mediaType: string,
    options: RemoteOptions,
  ): Promise<Descriptor> {
    return await pushDocument(this.#parts, ref, document, mediaType, credentialsOf(options.auth), options);
  }

  async #pulling<T>(
    ref: Reference,
    options: RemoteOptions,
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    try {
      const about = `manifest ${ref.digest ?? ref.tag ?? "latest"}`;
      const use = { push: false, signal: options.signal, onTrial: options.onTrial, about };
      return await whenAsked(this.#parts, options.signal, () =>
        this.#parts.connections.use(ref, credentialsOf(options.auth), use, work),
      );
    } catch (error) {
      throw pullError(error, ref);
    }
  }

  #context(session: Session, ref: Reference, options: RemoteOptions) {
    return { session, content: this.#content, ref, signal: options.signal, lease: options.lease };
  }
}
