import type { ImageId } from "../../base/lib/ids.ts";
import type { ContainerSummary } from "../../base/spec/docker/api.gen.ts";
import type { ContainerContext } from "./context.ts";
import { listContainers } from "./query/list.ts";
import { isRunning } from "./record.ts";

/** What images and the system service ask about containers as a whole. */
export class ContainerCensus {
  readonly #context: ContainerContext;
  constructor(context: ContainerContext) {
    this.#context = context;
  }

  counts(): { readonly total: number; readonly running: number; readonly paused: number } {
    let running = 0;
    let paused = 0;
    for (const record of this.#context.store.list()) {
      if (record.state.status === "paused") paused++;
      else if (isRunning(record)) running++;
    }
    return { total: this.#context.store.size, running, paused };
  }

  withSizes(): Promise<readonly ContainerSummary[]> {
    return listContainers(this.#context, { all: true, limit: 0, size: true, filters: {} });
  }

  /** Containers made from an image, or that mount it. */
  usersOf(image: ImageId): readonly { readonly id: string; readonly running: boolean }[] {
    const users: { id: string; running: boolean }[] = [];
    for (const record of this.#context.store.list()) {
      const { imageId, mounts } = record.definition;
      const uses = imageId === image || mounts.some((one) => one.type === "image" && one.imageId === image);
      if (uses) users.push({ id: record.id, running: isRunning(record) });
    }
    return users;
  }
}
