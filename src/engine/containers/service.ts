import type {
  ContainerCreateResponse,
  ContainerInspectResponse,
  ContainerStatsResponse,
  ContainerSummary,
  ContainerTopResponse,
  ContainerUpdateResponse,
  FilesystemChange,
} from "../../base/spec/docker/api.gen.ts";
import type { CreateRequest } from "../../base/spec/docker/requests.ts";
import type { FilesClient } from "../../core/files/client.ts";
import { checkpointPath } from "../checkpoints/service.ts";
import { checkpointDirectory } from "../checkpoints/trusted.ts";
import { engineMade, wireChanges } from "../files/changes.ts";
import type { WireFilters } from "../filters/filters.ts";
import { containerStats, type StatsOptions } from "../stats/stats.ts";
import type { StreamClient } from "../streams/client.ts";
import type { ContainerContext } from "./context.ts";
import { type CreateOptions, createContainer } from "./create/create.ts";
import { killOnRequest } from "./lifecycle/kill.ts";
import { pauseContainer, unpauseContainer } from "./lifecycle/pause.ts";
import type { UpdateRequest } from "./lifecycle/plan-update.ts";
import { pruneContainers } from "./lifecycle/prune.ts";
import { removeOnRequest } from "./lifecycle/remove.ts";
import { renameContainer } from "./lifecycle/rename.ts";
import { restartOnRequest } from "./lifecycle/restart.ts";
import { startOnRequest } from "./lifecycle/start-request.ts";
import { type StopOptions, stopOnRequest } from "./lifecycle/stop.ts";
import { updateContainer } from "./lifecycle/update.ts";
import { waitFor } from "./lifecycle/wait.ts";
import type { ExitOutcome, Waiter } from "./live.ts";
import { inspectContainer } from "./query/inspect.ts";
import { type ListOptions, listContainers } from "./query/list.ts";
import { topContainer } from "./query/top.ts";
import { type AttachOptions, attachContainer } from "./stream/attach.ts";
import { type LogsOptions, streamLogs } from "./stream/logs.ts";
import { resizeContainer } from "./stream/resize.ts";

/** The operations that change containers, in the shape the API's routes ask for. */
export class ContainerLifecycle {
  readonly #context: ContainerContext;
  constructor(context: ContainerContext) {
    this.#context = context;
  }

  create(request: CreateRequest, options: CreateOptions): Promise<ContainerCreateResponse> {
    return createContainer(this.#context, request, options);
  }

  async start(
    id: string,
    options: { readonly checkpoint?: string; readonly checkpointDir?: string },
  ): Promise<void> {
    const context = this.#context;
    if (!options.checkpoint) return await startOnRequest(context, id);
    const record = context.store.resolve(id);
    const path = checkpointPath(context, record, options.checkpoint, options.checkpointDir || undefined);
    const checkpoint = await checkpointDirectory(path, options.checkpoint, id);
    await startOnRequest(context, id, { checkpoint });
  }

  stop(id: string, options: StopOptions): Promise<void> {
    return stopOnRequest(this.#context, id, options);
  }

  restart(id: string, options: StopOptions): Promise<void> {
    return restartOnRequest(this.#context, id, options);
  }

  kill(id: string, signal: string | undefined): Promise<void> {
    return killOnRequest(this.#context, id, signal);
  }

  pause(id: string): Promise<void> {
    return pauseContainer(this.#context, id);
  }

  unpause(id: string): Promise<void> {
    return unpauseContainer(this.#context, id);
  }

  rename(id: string, name: string): Promise<void> {
    return renameContainer(this.#context, id, name);
  }

  update(id: string, change: UpdateRequest): Promise<ContainerUpdateResponse> {
    return updateContainer(this.#context, id, change);
  }

  remove(
    id: string,
    options: { readonly force: boolean; readonly volumes: boolean; readonly link: boolean },
  ): Promise<void> {
    return removeOnRequest(this.#context, id, options);
  }

  async wait(
    id: string,
    condition: Waiter["condition"],
    signal: AbortSignal,
  ): Promise<{ readonly done: Promise<ExitOutcome> }> {
    const departed = this.#context.live.departed(id);
    if (departed) return { done: Promise.resolve(departed) };
    return waitFor(this.#context, this.#context.store.resolve(id), condition, signal);
  }

  prune(
    filters: WireFilters,
  ): Promise<{ readonly ContainersDeleted: readonly string[] | null; readonly SpaceReclaimed: number }> {
    return pruneContainers(this.#context, filters);
  }
}

/** The operations that look. */
export class ContainerQueries {
  readonly #context: ContainerContext;
  readonly #files: Pick<FilesClient, "changes">;
  constructor(context: ContainerContext, files: Pick<FilesClient, "changes">) {
    this.#context = context;
    this.#files = files;
  }

  list(options: ListOptions): Promise<readonly ContainerSummary[]> {
    return listContainers(this.#context, options);
  }

  inspect(id: string, options: { readonly size: boolean }): Promise<ContainerInspectResponse> {
    return inspectContainer(this.#context, id, options);
  }

  async changes(id: string): Promise<readonly FilesystemChange[] | null> {
    const record = this.#context.store.resolve(id);
    return wireChanges(await this.#files.changes(this.#context.snapshots.layout(record.id), engineMade));
  }

  stats(id: string, options: StatsOptions, signal: AbortSignal): AsyncIterable<ContainerStatsResponse> {
    // Resolved here: an unknown container is an error of the request, not of its stream.
    return containerStats(this.#context, this.#context.store.resolve(id).id, options, signal);
  }

  top(id: string, psArgs: string): Promise<ContainerTopResponse> {
    return topContainer(this.#context, id, psArgs);
  }
}

/** The operations that carry bytes. */
export class ContainerStreams {
  readonly #context: ContainerContext;
  constructor(context: ContainerContext) {
    this.#context = context;
  }

  attach(id: string, options: AttachOptions, client: StreamClient): Promise<void> {
    return attachContainer(this.#context, id, options, client);
  }

  logs(id: string, options: LogsOptions, client: StreamClient): Promise<void> {
    return streamLogs(this.#context, id, options, client);
  }

  resize(id: string, rows: number, columns: number): Promise<void> {
    return resizeContainer(this.#context, id, rows, columns);
  }
}
