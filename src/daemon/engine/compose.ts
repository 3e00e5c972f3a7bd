import type { Backends } from "../../api/backend.ts";
import type { Log } from "../../base/lib/log.ts";
import { FilesClient } from "../../core/files/client.ts";
import { CheckpointService } from "../../engine/checkpoints/service.ts";
import { ContainerConnections } from "../../engine/containers/connect.ts";
import { stopWithDaemon } from "../../engine/containers/lifecycle/stop.ts";
import { recoverContainers } from "../../engine/containers/recovery.ts";
import { ContainerLifecycle, ContainerQueries, ContainerStreams } from "../../engine/containers/service.ts";
import { networkToJoin } from "../../engine/containers/start/spec-input.ts";
import { FilesService } from "../../engine/files/service.ts";
import { ImageService } from "../../engine/images/service.ts";
import { NetworkService } from "../../engine/networks/service.ts";
import { VolumeService } from "../../engine/volumes/service.ts";
import { type ComposedBuilder, composeBuilder } from "../build/compose.ts";
import type { DaemonConfig } from "../config/config.ts";
import { helperCommand } from "../executable.ts";
import { composeContainers } from "./containers.ts";
import { composeImages } from "./images.ts";
import { openMechanisms } from "./mechanisms.ts";
import { type SystemParts, systemService } from "./system.ts";
import { daemonId } from "./system-facts.ts";

export interface Engine extends AsyncDisposable {
  readonly backends: Backends;
  readonly builder: ComposedBuilder;
  /** Makes records and world agree; returns the starts that may go on while the daemon serves. */
  recover(options: { readonly machineWentDown: boolean }): Promise<() => Promise<void>>;
  /** Stops every container as the daemon itself stops, which gives each so many seconds; negative: as long as it takes. */
  stopContainers(seconds: number): Promise<void>;
  /** SIGHUP changed the configuration. */
  reload(): void;
  /** A daemon event. */
  announce(action: string, attributes: Readonly<Record<string, string>>): void;
}

/** Puts the parts together, floor by floor: the only place where every one of them is known. */
export async function composeEngine(config: DaemonConfig, log: Log): Promise<Engine> {
  await using stack = new AsyncDisposableStack();
  const mechanisms = await openMechanisms(config, log, stack);
  // Asked only after the builder is there.
  let keptByBuilds: (layer: string) => boolean = () => false;
  const images = composeImages({ mechanisms, keptByOthers: (layer) => keptByBuilds(layer) });
  const containers = composeContainers({ mechanisms, images: images.store }, stack);
  const { context, exec } = containers;
  const imageDeps = images.serviceDeps(containers.census);
  const builder = stack.use(
    await composeBuilder({
      ...mechanisms,
      database: mechanisms.databases.durable,
      images,
      imageDeps,
      joinable: (container) => networkToJoin(context, container),
      defaults: context.defaults,
    }),
  );
  keptByBuilds = (layer) => builder.store.cache.keeps(layer);
  const parts: SystemParts = { mechanisms, images, imageDeps, containers, builder };
  const backends = services(parts);
  const owned = stack.move();
  return {
    backends,
    recover: async (options) => {
      await builder.recover();
      await images.recover();
      await exec.recover();
      const { startWanted } = await recoverContainers(context, options);
      // After the containers: what they hold is in use.
      await mechanisms.volumeDrivers.recover(mechanisms.volumes);
      await builder.recoverSteps();
      return startWanted;
    },
    builder,
    stopContainers: (seconds) => stopWithDaemon(context, seconds),
    reload: () => {
      mechanisms.runtimes.reload();
      builder.collector.policyChanged();
    },
    announce: (action, attributes) =>
      mechanisms.events.publish({ type: "daemon", action, id: daemonId(config.dataRoot), attributes }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The engine's services, as the API's routes know them. */
function services(parts: SystemParts): Backends {
  const { mechanisms, images, imageDeps } = parts;
  const { config, clock, events, networks, volumes } = mechanisms;
  const { context, exec, secrets } = parts.containers;
  const files = new FilesClient({ helperCommand: helperCommand() });
  return {
    lifecycle: new ContainerLifecycle(context),
    containers: new ContainerQueries(context, files),
    streams: new ContainerStreams(context),
    exec,
    files: new FilesService({
      containers: context,
      files,
      commit: {
        content: images.content,
        images: images.store,
        unpacker: images.unpacker,
        complete: imageDeps.complete,
      },
    }),
    images: new ImageService(imageDeps),
    volumes: new VolumeService({ store: volumes, events, clock }),
    networks: new NetworkService({
      networks,
      containers: new ContainerConnections(context),
      defaultOptions: config.networkOptions,
      events,
      clock,
    }),
    system: systemService(parts),
    secrets,
    checkpoints: new CheckpointService(context),
  };
}
