import type { ImageId } from "../../../base/lib/ids.ts";
import type { ImageConfig } from "../../../base/spec/oci/image.ts";
import type { ImageArchives, LoadEvent } from "../image.ts";
import { type ImportDeps, importArchive } from "./import.ts";
import { type LoadDeps, type LoadOptions, loadArchive } from "./load.ts";
import { type SaveOptions, saveArchive } from "./save.ts";

export type ArchivesDeps = LoadDeps &
  ImportDeps & {
    /** Removes the blobs and layers of an archive that turned out bad. */
    readonly collect: () => Promise<void>;
  };

export class TarArchives implements ImageArchives {
  readonly #deps: ArchivesDeps;

  constructor(deps: ArchivesDeps) {
    this.#deps = deps;
  }

  async *load(
    tar: ReadableStream<Uint8Array>,
    options: LoadOptions = {},
  ): AsyncGenerator<LoadEvent, void, undefined> {
    try {
      yield* loadArchive(this.#deps, tar, options);
    } finally {
      // Files of the archive that are part of no image, and everything of a load that failed.
      await this.#deps.collect();
    }
  }

  save(references: readonly string[], options: SaveOptions = {}): ReadableStream<Uint8Array> {
    return streamOf(saveArchive(this.#deps, references, options));
  }

  async import(
    tar: ReadableStream<Uint8Array>,
    config: ImageConfig,
    reference: string | undefined,
    message: string,
    signal?: AbortSignal,
  ): Promise<ImageId> {
    try {
      return await importArchive(this.#deps, tar, config, reference, message, signal);
    } catch (error) {
      await this.#deps.collect();
      throw error;
    }
  }
}

/** A byte stream that pulls from a generator only when somebody reads. */
export function streamOf(source: AsyncGenerator<Uint8Array, void, undefined>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          for (;;) {
            const next = await source.next();
            if (next.done) {
              controller.close();
              return;
            }
            if (next.value.length === 0) continue;
            controller.enqueue(next.value);
            return;
          }
        } catch (error) {
          controller.error(error);
        }
      },
      async cancel() {
        await source.return();
      },
    },
    { highWaterMark: 1 },
  );
}
