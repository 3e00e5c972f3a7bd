import { existsSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { conflict, invalid, notFound, TugError } from "../../base/lib/errors.ts";
import { removeDirectory } from "../../base/sys/remove-tree.ts";
import type { ContainerContext } from "../containers/context.ts";
import { emitContainer } from "../containers/events.ts";
import { waitFor } from "../containers/lifecycle/wait.ts";
import type { ContainerRecord } from "../containers/record.ts";

/** Where a container's checkpoints lie: in a directory of the caller's, or with the container and gone with it. */
export function checkpointPath(
  context: ContainerContext,
  record: ContainerRecord,
  name: string,
  directory: string | undefined,
): string {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
    throw invalid(`Invalid checkpoint ID (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  }
  return join(checkpointsOf(context, record, directory), name);
}

function checkpointsOf(
  context: ContainerContext,
  record: ContainerRecord,
  directory: string | undefined,
): string {
  if (directory !== undefined && !directory.startsWith("/")) {
    throw invalid(`checkpoint directory ${directory} is not an absolute path`);
  }
  return directory === undefined ? join(context.paths.dir(record.id), "checkpoints") : resolve(directory);
}

/** Checkpoints through CRIU, where the runtime can make them. Only their pages are taken: everything else comes from the record. */
export class CheckpointService {
  readonly #context: ContainerContext;

  constructor(context: ContainerContext) {
    this.#context = context;
  }

  async create(
    reference: string,
    options: { readonly name: string; readonly directory: string | undefined; readonly exit: boolean },
  ): Promise<void> {
    const context = this.#context;
    const { id } = context.store.resolve(reference);
    const ended = await context.locks.run(id, async () => {
      const record = context.store.resolve(id);
      if (record.state.status !== "running") throw conflict(`container ${id} is not running`);
      if (record.definition.config.Tty) {
        throw new TugError("not-implemented", "checkpointing containers with a terminal is not supported");
      }
      const path = checkpointPath(context, record, options.name, options.directory);
      if (existsSync(path)) {
        throw conflict(`checkpoint with name ${options.name} already exists for container ${record.name}`);
      }
      await mkdir(path, { recursive: true, mode: 0o700 });
      // Its end is wanted: no restart policy afterwards.
      if (options.exit) context.store.setState(id, { stoppedByUser: true });
      try {
        await context.runtime.checkpoint(id, { image: path, leaveRunning: !options.exit });
      } catch (error) {
        await removeDirectory(path);
        context.store.setState(id, { stoppedByUser: record.state.stoppedByUser });
        throw error;
      }
      emitContainer(context, record, "checkpoint");
      return options.exit ? waitFor(context, context.store.resolve(id), "not-running") : undefined;
    });
    // The exit is handled under the lock. Who made the checkpoint may start from it at once.
    await ended?.done;
  }

  async list(
    reference: string,
    directory: string | undefined,
  ): Promise<readonly { readonly Name: string }[]> {
    const root = checkpointsOf(this.#context, this.#context.store.resolve(reference), directory);
    if (!existsSync(root)) return [];
    const entries = await readdir(root, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => ({ Name: entry.name }));
  }

  async remove(reference: string, name: string, directory: string | undefined): Promise<void> {
    const path = checkpointPath(this.#context, this.#context.store.resolve(reference), name, directory);
    if (!existsSync(path)) throw notFound(`checkpoint ${name} does not exist for container ${reference}`);
    await removeDirectory(path);
  }
}
