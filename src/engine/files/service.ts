import { causeOf, notFound } from "../../base/lib/errors.ts";
import type { ContainerConfig } from "../../base/spec/docker/api.gen.ts";
import type { PathStat } from "../../base/spec/docker/path-stat.ts";
import { type FilesClient, PathMissing, ViewEnded } from "../../core/files/client.ts";
import type { FilesView } from "../../core/files/protocol.ts";
import type { ContainerContext } from "../containers/context.ts";
import { emitContainer } from "../containers/events.ts";
import { type ContainerRecord, isAlive } from "../containers/record.ts";
import { type CommitDeps, type CommitOptions, commitContainer } from "./commit.ts";
import { tarStream } from "./tar-stream.ts";
import { cpView, exportView } from "./view.ts";

export interface FilesServiceDeps {
  readonly containers: ContainerContext;
  readonly files: FilesClient;
  readonly commit: CommitDeps;
}

/** How often a container that ends meanwhile is looked at again, and how long its exit takes to be noticed. */
const attempts = 100;
const noticeMs = 20;

/** Files of containers: cp in both directions, export, commit. */
export class FilesService {
  readonly #deps: FilesServiceDeps;

  constructor(deps: FilesServiceDeps) {
    this.#deps = deps;
  }

  async statPath(reference: string, path: string): Promise<PathStat> {
    return await this.#onView(reference, path, "read", (view) => this.#deps.files.stat(view, path));
  }

  async getArchive(
    reference: string,
    path: string,
    signal: AbortSignal,
  ): Promise<{ readonly stat: PathStat; readonly tar: ReadableStream<Uint8Array> }> {
    const { containers, files } = this.#deps;
    return await this.#onView(reference, path, "read", async (view, record, undo) => {
      const { stat, tar } = await files.get(view, path, signal);
      emitContainer(containers, record, "archive-path");
      // The volumes are let go when the stream ends.
      return { stat, tar: tarStream(tar, undo.move(), signal) };
    });
  }

  async putArchive(
    reference: string,
    path: string,
    tar: ReadableStream<Uint8Array>,
    options: { readonly noOverwriteDirNonDir: boolean; readonly copyUIDGID: boolean },
  ): Promise<void> {
    const { containers, files } = this.#deps;
    await this.#onView(reference, path, "write", async (view, record) => {
      const { config, host, mounts } = record.definition;
      await files.put(view, path, tar, {
        noOverwriteDirNonDir: options.noOverwriteDirNonDir,
        owner: options.copyUIDGID && config.User ? config.User : undefined,
        readonlyRootfs: host.ReadonlyRootfs ?? false,
        mounts: [
          ...mounts.map(({ target, readonly }) => ({ target, readonly })),
          ...(isAlive(record) ? Object.keys(host.Tmpfs ?? {}) : []).map((target) => ({
            target,
            readonly: false,
          })),
        ],
      });
      emitContainer(containers, record, "extract-to-dir");
    });
  }

  async export(reference: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const { containers, files } = this.#deps;
    const record = containers.store.resolve(reference);
    const tar = files.export(exportView(containers, record), signal);
    emitContainer(containers, record, "export");
    return tarStream(tar, new AsyncDisposableStack(), signal);
  }

  commit(
    reference: string,
    options: CommitOptions & { readonly config: ContainerConfig | undefined },
  ): Promise<{ readonly Id: string }> {
    const { containers, commit, files } = this.#deps;
    return commitContainer(containers, files, commit, containers.store.resolve(reference), options);
  }

  /**
   * Opens the container's files as they can be seen now. Writing to a container that does not run holds its lock, because
   * its layer is mounted for it; everything else goes on beside any other operation.
   */
  async #onView<R>(
    reference: string,
    path: string,
    purpose: "read" | "write",
    use: (view: FilesView, record: ContainerRecord, undo: AsyncDisposableStack) => Promise<R>,
  ): Promise<R> {
    const { containers } = this.#deps;
    const { id } = containers.store.resolve(reference);
    const look = async (): Promise<R> => {
      await using undo = new AsyncDisposableStack();
      const record = containers.store.resolve(id);
      return await use(await cpView(containers, record, purpose, undo), record, undo);
    };
    for (let attempt = 1; ; attempt++) {
      try {
        const record = containers.store.resolve(id);
        const exclusive = !isAlive(record) && purpose === "write";
        return await (exclusive ? containers.locks.run(id, look) : look());
      } catch (failure) {
        const error = causeOf(failure);
        if (error instanceof PathMissing) {
          throw notFound(`Could not find the file ${path} in container ${reference}`, error);
        }
        if (!(error instanceof ViewEnded) || attempt >= attempts) throw error;
        await containers.clock.sleep(noticeMs);
      }
    }
  }
}
