import { isCode, TugError } from "../../../base/lib/errors.ts";
import { Semaphore } from "../../../base/lib/semaphore.ts";
import type { Reference } from "../../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import type { ImageConfig } from "../../../base/spec/oci/image.ts";
import { configLimit, parseImageConfig } from "../../../base/spec/oci/parse-config.ts";
import type { ContentStore } from "../../content/content.ts";
import type {
  ImageFetcher,
  LayerEvent,
  RegistryClient,
  RemoteOptions,
  ResolvedImage,
} from "../distribution.ts";
import { cancelled } from "../http/transport.ts";
import { SingleFlight } from "./single-flight.ts";

interface Deps {
  readonly client: Pick<RegistryClient, "fetch">;
  readonly content: ContentStore;
  /** Downloads at once over all pulls (dockerd's --max-concurrent-downloads). */
  readonly maxConcurrent: number | (() => number);
}

type LayerOptions = Parameters<ImageFetcher["layers"]>[2];

/** `ImageFetcher` over any registry client. */
export class ParallelImageFetcher implements ImageFetcher {
  readonly #deps: Deps;
  readonly #slots: Semaphore;
  readonly #flights = new SingleFlight<LayerEvent>();
  constructor(deps: Deps) {
    this.#deps = deps;
    this.#slots = new Semaphore(deps.maxConcurrent);
  }

  async config(ref: Reference, image: ResolvedImage, options: RemoteOptions): Promise<ImageConfig> {
    const { config, layers } = image;
    if (config.size > configLimit) {
      throw new TugError("data-loss", `image config ${config.digest} is larger than ${configLimit} bytes`);
    }
    try {
      await this.#deps.client.fetch(ref, config, options);
    } catch (error) {
      if (!(error instanceof TugError) || error.code === "cancelled") throw error;
      const reason =
        error.code === "data-loss"
          ? `image config verification failed for digest ${config.digest}`
          : error.message;
      throw new TugError(error.code, `error pulling image configuration: ${reason}`, { cause: error });
    }
    const parsed = parseImageConfig(await this.#deps.content.read(config.digest, configLimit));
    if (parsed.rootfs.diff_ids.length !== layers.length) {
      throw new TugError(
        "data-loss",
        `layers from manifest don't match image configuration: ${layers.length} layers, ${parsed.rootfs.diff_ids.length} diff_ids`,
      );
    }
    return parsed;
  }

  layers(ref: Reference, layers: readonly Descriptor[], options: LayerOptions): readonly Promise<void>[] {
    const failed = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
    return layers.map((layer) => {
      const fetching = this.#layer(ref, layer, { ...options, signal }).catch((error: unknown) => {
        failed.abort(error);
        throw error;
      });
      // The caller may stop at the first failure and never look at the others.
      fetching.catch(() => undefined);
      return fetching;
    });
  }

  async #layer(
    ref: Reference,
    layer: Descriptor,
    options: LayerOptions & { signal: AbortSignal },
  ): Promise<void> {
    const { client, content } = this.#deps;
    const tell = (event: LayerEvent) => options.onLayer?.(layer, event);
    options.lease?.add(layer.digest);
    try {
      for (;;) {
        if (content.stat(layer.digest)) return tell({ kind: "complete", already: true });
        const flight = this.#flights.run(layer.digest, options.signal, tell, async (emit, signal) => {
          if (!this.#slots.available) emit({ kind: "waiting" });
          using _slot = await this.#slots.acquire(signal);
          await client.fetch(ref, layer, {
            auth: options.auth,
            signal,
            onTrial: options.onTrial,
            onProgress: (done, total) => emit({ kind: "downloading", done, total }),
            onRetry: (reason, seconds) => emit({ kind: "retrying", reason, seconds }),
          });
        });
        try {
          await flight.done;
          return tell({ kind: "complete", already: false });
        } catch (error) {
          // Somebody else's download may have failed for what is only theirs: their registry, rights or abort.
          if (!flight.joined || options.signal.aborted || isCode(error, "resource-exhausted")) throw error;
        }
      }
    } catch (error) {
      if (options.signal.aborted) throw cancelled(options.signal);
      throw error;
    }
  }
}
