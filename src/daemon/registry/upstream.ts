import type { Clock } from "../../base/lib/clock.ts";
import { tugVersion } from "../../base/lib/product.ts";
import type { Reference } from "../../base/spec/docker/reference.ts";
import { manifestLimit } from "../../base/spec/oci/parse.ts";
import { credentialsOf } from "../../core/distribution/auth/credentials.ts";
import { accept } from "../../core/distribution/documents.ts";
import { systemAuthorities } from "../../core/distribution/endpoints/certificates.ts";
import { bodyChunks, readBody } from "../../core/distribution/http/body.ts";
import { Connections } from "../../core/distribution/http/connections.ts";
import { systemNames } from "../../core/distribution/http/names.ts";
import { RegistryError } from "../../core/distribution/http/registry-error.ts";
import type { Session, SessionRequest } from "../../core/distribution/http/session.ts";
import { type Exchange, Transport } from "../../core/distribution/http/transport.ts";
import { proxyFromEnvironment } from "../../core/distribution/registry-config.ts";
import { listTags } from "../../core/distribution/tags.ts";
import { TooManyRequests, type Upstream } from "../../registry/cache/upstream.ts";
import { parseBlobDigest } from "../../registry/names.ts";

export interface UpstreamConfig {
  /** "docker.io", "registry.example:5000". */
  readonly domain: string;
  /** Spoken to in plain HTTP, or with a certificate nobody vouches for. */
  readonly insecure: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

type Use = <T>(
  path: string,
  signal: AbortSignal | undefined,
  work: (session: Session, path: string) => Promise<T>,
) => Promise<T>;

/** Runs requests about one repository of the upstream, with the credentials for it. */
function connect(config: UpstreamConfig, clock: Clock): Use {
  const names = systemNames();
  const settings = {
    insecureRegistries: config.insecure ? [config.domain] : [],
    mirrors: [],
    certificateDirectories: ["/etc/tug/certs.d", "/etc/docker/certs.d"],
    proxy: proxyFromEnvironment(process.env),
    userAgent: `tug-registry/${tugVersion}`,
  };
  const transport = new Transport({ userAgent: settings.userAgent, proxy: settings.proxy, names });
  const connections = new Connections({
    transport,
    clock,
    config: settings,
    names,
    systemAuthorities: systemAuthorities(),
  });
  const credentials = credentialsOf({ username: config.username, password: config.password });
  return async (path, signal, work) => {
    // Docker Hub's official images have a name of their own there.
    const whole = config.domain === "docker.io" && !path.includes("/") ? `library/${path}` : path;
    const ref: Reference = { domain: config.domain, path: whole, tag: undefined, digest: undefined };
    try {
      return await connections.use(ref, credentials, { push: false, signal }, (session) =>
        work(session, whole),
      );
    } catch (error) {
      if (!(error instanceof RegistryError) || error.status !== 429) throw error;
      throw new TooManyRequests(error.message, error.retryAfter, error);
    }
  };
}

/** Another registry, asked with the same client that pulls images. */
export function registryUpstream(config: UpstreamConfig, clock: Clock): Upstream {
  const use = connect(config, clock);
  const send = (path: string, request: Omit<SessionRequest, "path">, tail: string): Promise<Exchange> =>
    use(path, request.signal, (session, whole) => session.send({ ...request, path: `/v2/${whole}/${tail}` }));
  return {
    async digestOf(path, tag, signal) {
      using exchange = await send(
        path,
        { method: "HEAD", headers: { Accept: accept }, expect: [200, 405], signal },
        `manifests/${tag}`,
      );
      const digest = exchange.response.headers.get("docker-content-digest");
      return exchange.response.status === 200 && digest ? parseBlobDigest(digest) : undefined;
    },
    async manifest(path, reference, signal) {
      using exchange = await send(
        path,
        { method: "GET", headers: { Accept: accept }, expect: [200], signal },
        `manifests/${reference}`,
      );
      const mediaType = exchange.response.headers.get("content-type") ?? "";
      return { bytes: await readBody(exchange, manifestLimit), mediaType };
    },
    tags: (path, signal) => use(path, signal, (session, whole) => listTags(session, whole, signal)),
    async blobSize(path, digest, signal) {
      using exchange = await send(path, { method: "HEAD", expect: [200], signal }, `blobs/${digest}`);
      const length = exchange.response.headers.get("content-length");
      return length === null ? undefined : Number(length);
    },
    async blob(path, digest, from, signal) {
      const get = (headers: Record<string, string>) =>
        send(
          path,
          { method: "GET", headers, expect: [200, 206, 416], signal, allowDowngrade: true },
          `blobs/${digest}`,
        );
      let exchange = await get(from > 0 ? { Range: `bytes=${from}-` } : {});
      if (exchange.response.status === 416) {
        // There is nothing behind what an earlier process left, which may be wrong: from the start.
        exchange[Symbol.dispose]();
        exchange = await get({});
      }
      const { status } = exchange.response;
      const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(exchange.response.headers.get("content-range") ?? "");
      const length = exchange.response.headers.get("content-length");
      const size = status === 206 ? range?.[2] : (length ?? undefined);
      return {
        from: status === 206 ? Number(range?.[1] ?? from) : 0,
        size: size === undefined ? undefined : Number(size),
        chunks: bodyChunks(exchange),
        [Symbol.dispose]: () => exchange[Symbol.dispose](),
      };
    },
  };
}
