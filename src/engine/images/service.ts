import { invalid } from "../../base/lib/errors.ts";
import type {
  AttestationStatement,
  ImageDeleteResponseItem,
  ImageHistoryResponseItem,
  ImageInspect,
  ImageSummary,
} from "../../base/spec/docker/api.gen.ts";
import type {
  DistributionManifest,
  ImageBootstrapRequest,
  ImageInventory,
} from "../../base/spec/docker/extensions.ts";
import type { ProgressMessage } from "../../base/spec/docker/progress.ts";
import { familiarString, parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import type { WireFilters } from "../filters/filters.ts";
import { type ImportOptions, importImage, loadImages, saveImages } from "./archives.ts";
import { type AttestationOptions, imageAttestations } from "./attestations.ts";
import { bootstrapImage } from "./bootstrap.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { publishImage } from "./events.ts";
import { type InspectOptions, imageHistory, inspectImage } from "./inspect.ts";
import { imageInventory } from "./inventory.ts";
import { type ListOptions, listImages } from "./list.ts";
import { type ManifestOptions, readManifestDocument, writeManifestDocument } from "./manifest-documents.ts";
import { platformOption } from "./platform-option.ts";
import { pruneImages } from "./prune.ts";
import { type PullOptions, pullImage } from "./pull.ts";
import { type PushOptions, pushImage } from "./push.ts";
import { type RemoveOptions, removeImage } from "./remove.ts";
import { type SearchOptions, type SearchResult, searchImages } from "./search.ts";

/** Images as the API has them: the table of contents of this folder, an operation a file. */
export class ImageService {
  readonly #deps: ImageServiceDeps;

  constructor(deps: ImageServiceDeps) {
    this.#deps = deps;
  }

  list(options: ListOptions): Promise<readonly ImageSummary[]> {
    return listImages(this.#deps, options);
  }

  inspect(reference: string, options?: InspectOptions): Promise<ImageInspect> {
    return inspectImage(this.#deps, reference, options);
  }

  async history(
    reference: string,
    options: { readonly platform: string | undefined } = { platform: undefined },
  ): Promise<readonly ImageHistoryResponseItem[]> {
    const platform = platformOption(this.#deps, options.platform);
    return imageHistory(this.#deps, this.#deps.images.resolve(reference, platform));
  }

  attestations(reference: string, options: AttestationOptions): Promise<readonly AttestationStatement[]> {
    return imageAttestations(this.#deps, reference, options);
  }

  async tag(source: string, repo: string, tag: string): Promise<void> {
    const { image, target } = this.#deps.images.find(source);
    const ref = parseReference(tag === "" ? repo : `${repo}:${tag}`);
    if (ref.digest !== undefined) throw invalid("refusing to create a tag with a digest reference");
    const name = familiarString(withDefaultTag(ref));
    await this.#deps.locks.run(`image ${image.id}`, async () => {
      this.#deps.images.tag(image.id, name, target?.digest);
    });
    publishImage(this.#deps, "tag", image, name);
  }

  remove(reference: string, options: RemoveOptions): Promise<readonly ImageDeleteResponseItem[]> {
    return removeImage(this.#deps, reference, options);
  }

  pull(reference: string, options: PullOptions, signal: AbortSignal): AsyncIterable<ProgressMessage> {
    return pullImage(this.#deps, reference, options, signal);
  }

  push(reference: string, options: PushOptions, signal: AbortSignal): AsyncIterable<ProgressMessage> {
    return pushImage(this.#deps, reference, options, signal);
  }

  async inventory(): Promise<ImageInventory> {
    return imageInventory(this.#deps);
  }

  bootstrap(request: ImageBootstrapRequest, signal: AbortSignal): AsyncIterable<ProgressMessage> {
    return bootstrapImage(this.#deps, request, signal);
  }

  import(
    source: ReadableStream<Uint8Array>,
    options: ImportOptions,
    signal: AbortSignal,
  ): AsyncIterable<ProgressMessage> {
    return importImage(this.#deps, source, options, signal);
  }

  load(
    tar: ReadableStream<Uint8Array>,
    options: Parameters<typeof loadImages>[2],
    signal: AbortSignal,
  ): AsyncIterable<ProgressMessage> {
    return loadImages(this.#deps, tar, options, signal);
  }

  save(
    references: readonly string[],
    options: Parameters<typeof saveImages>[2] = { platforms: [] },
  ): Promise<ReadableStream<Uint8Array>> {
    return saveImages(this.#deps, references, options);
  }

  prune(wire: WireFilters): Promise<{
    readonly ImagesDeleted: readonly ImageDeleteResponseItem[] | null;
    readonly SpaceReclaimed: number;
  }> {
    return pruneImages(this.#deps, wire);
  }

  search(term: string, options: SearchOptions, signal?: AbortSignal): Promise<readonly SearchResult[]> {
    return searchImages(this.#deps, term, options, signal);
  }

  readManifest(reference: string, options: ManifestOptions): Promise<DistributionManifest> {
    return readManifestDocument(this.#deps, reference, options);
  }

  writeManifest(
    reference: string,
    document: Uint8Array,
    options: Parameters<typeof writeManifestDocument>[3],
    signal: AbortSignal,
  ): Promise<{ readonly Digest: string }> {
    return writeManifestDocument(this.#deps, reference, document, options, signal);
  }
}
