import { TugError } from "../../base/lib/errors.ts";
import type { ChainId, Digest } from "../../base/lib/ids.ts";
import type { BuildSession } from "../../base/spec/builder/session.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import type { Descriptor, Platform } from "../../base/spec/oci/descriptor.ts";
import type { ImageConfig } from "../../base/spec/oci/image.ts";
import { manifestLimit, parseImageDocument } from "../../base/spec/oci/parse.ts";
import { configLimit, parseImageConfig } from "../../base/spec/oci/parse-config.ts";
import { choosePlatform, formatPlatform } from "../../base/spec/oci/platform.ts";
import type { ExpectedBlob, Lease } from "../../core/content/content.ts";
import type { ImageServiceDeps } from "./deps.ts";

/** A content store of the client's, for as long as a build has the client. */
export interface ClientStore {
  readonly name: string;
  readonly session: Pick<BuildSession, "blob" | "signal">;
  readonly signal: AbortSignal;
}

export interface LayoutContents {
  /** Of the platform's manifest. */
  readonly manifest: Digest;
  readonly configDigest: Digest;
  readonly config: ImageConfig;
  readonly layers: readonly Descriptor[];
}

/** What a build brought in stays for as long as its client is there; then what no image has goes. */
export class SessionLeases {
  readonly #deps: Pick<ImageServiceDeps, "content" | "collect">;
  readonly #leases = new WeakMap<AbortSignal, Lease>();

  constructor(deps: Pick<ImageServiceDeps, "content" | "collect">) {
    this.#deps = deps;
  }

  of({ signal }: Pick<BuildSession, "signal">): Lease {
    signal.throwIfAborted();
    const known = this.#leases.get(signal);
    if (known) return known;
    const lease = this.#deps.content.lease();
    this.#leases.set(signal, lease);
    const end = () => {
      lease[Symbol.dispose]();
      // What it leaves goes with the next collection.
      this.#deps.collect().catch(() => undefined);
    };
    signal.addEventListener("abort", end, { once: true });
    return lease;
  }
}

type PartProgress = (name: string, current: number, total: number, done: boolean) => void;

/** Depth of indexes in indexes. */
const maxDepth = 3;

/** Images of OCI layouts that clients have: read over their sessions blob by blob, each checked against its digest, kept while the client is there. */
export class LayoutImages {
  readonly #deps: Pick<ImageServiceDeps, "content" | "unpacker" | "locks" | "snapshots">;
  readonly #leases: SessionLeases;

  constructor(
    deps: Pick<ImageServiceDeps, "content" | "unpacker" | "locks" | "snapshots">,
    leases: SessionLeases,
  ) {
    this.#deps = deps;
    this.#leases = leases;
  }

  /** The documents of an image, by the digest of its index or manifest. */
  async read(digest: Digest, platform: Platform, store: ClientStore): Promise<LayoutContents> {
    let current: ExpectedBlob & { readonly mediaType?: string } = { digest };
    for (let depth = 0; depth <= maxDepth; depth++) {
      const document = parseImageDocument(
        await this.#small(current, manifestLimit, store),
        current.mediaType,
      );
      if (document.kind === "index") {
        const chosen = choosePlatform(document.index.manifests, platform);
        if (!chosen)
          throw new TugError(
            "not-found",
            `no match for platform in manifest ${digest}: ${formatPlatform(platform)}`,
          );
        current = chosen;
        continue;
      }
      if (document.kind !== "manifest")
        throw new TugError("invalid-argument", `${current.digest} is no manifest of an image`);
      const { config: descriptor, layers } = document.manifest;
      const config = parseImageConfig(await this.#small(descriptor, configLimit, store));
      if (config.rootfs.diff_ids.length !== layers.length)
        throw new TugError("data-loss", "layers from manifest don't match image configuration");
      const lease = this.#leases.of(store.session);
      for (const layer of layers) lease.add(layer.digest);
      return { manifest: current.digest, configDigest: descriptor.digest, config, layers };
    }
    throw new TugError("data-loss", `${digest}: indexes nested too deeply`);
  }

  /** Brings in the layers that are missing and unpacks them; the top one. */
  async unpack(image: LayoutContents, store: ClientStore, tell: PartProgress): Promise<ChainId | undefined> {
    const { unpacker, locks, snapshots } = this.#deps;
    const { signal } = store;
    const diffIds = image.config.rootfs.diff_ids;
    const chain = chainIds(diffIds);
    const top = chain.at(-1);
    if (top === undefined || snapshots.stat(top)?.kind === "committed") return top;
    for (const [index, descriptor] of image.layers.entries()) {
      const [name, diffId] = [chain[index], diffIds[index]];
      if (name === undefined || diffId === undefined) continue;
      const total = descriptor.size;
      if (!snapshots.stat(name))
        await this.#bring(descriptor, store, (current) => tell(descriptor.digest, current, total, false));
      await locks.run(`layer ${name}`, () =>
        unpacker.unpack({ descriptor, diffId }, chain[index - 1], { signal }),
      );
      tell(descriptor.digest, total, total, true);
    }
    return top;
  }

  async #small(wanted: ExpectedBlob, limit: number, store: ClientStore): Promise<Uint8Array> {
    if ((wanted.size ?? 0) > limit) throw tooLarge(wanted.digest, limit);
    await this.#bring(wanted, store, (bytes) => {
      if (bytes > limit) throw tooLarge(wanted.digest, limit);
    });
    return await this.#deps.content.read(wanted.digest, limit);
  }

  async #bring(wanted: ExpectedBlob, store: ClientStore, came: (bytes: number) => void): Promise<void> {
    const { content } = this.#deps;
    const { digest, size } = wanted;
    this.#leases.of(store.session).add(digest);
    if (content.stat(digest)) return;
    const { session, signal, name } = store;
    await using ingest = await content.ingest(
      `layout-${digest}`,
      { digest, ...(size !== undefined && { size }) },
      signal,
    );
    if (content.stat(digest)) return;
    try {
      await ingest.reset();
      const body = await session.blob?.(name, digest, signal);
      if (!body) throw new TugError("not-found", `the client lends no content store ${name}`);
      let bytes = 0;
      for await (const chunk of body) {
        bytes += chunk.length;
        if (size !== undefined && bytes > size) throw tooLarge(digest, size);
        came(bytes);
        await ingest.write(chunk);
      }
      await ingest.commit();
    } catch (error) {
      await ingest.abort();
      throw error;
    }
  }
}

function tooLarge(digest: Digest, limit: number): TugError {
  return new TugError("data-loss", `${digest} has more than the ${limit} bytes that it may have`);
}
