import { join } from "node:path";
import { messageOf } from "../../base/lib/errors.ts";
import { databaseProblems } from "../../base/store/database.ts";
import type { ImageServiceDeps } from "../../engine/images/deps.ts";
import type { CheckDeps } from "../../engine/system/check/finding.ts";
import { SystemService } from "../../engine/system/service.ts";
import type { ComposedBuilder } from "../build/compose.ts";
import type { ComposedContainers } from "./containers.ts";
import type { ImageParts } from "./images.ts";
import type { Mechanisms } from "./mechanisms.ts";
import { adviseOnRuntime, components, daemonFacts } from "./system-facts.ts";

export interface SystemParts {
  readonly mechanisms: Mechanisms;
  readonly images: ImageParts;
  readonly imageDeps: ImageServiceDeps;
  readonly containers: ComposedContainers;
  readonly builder: ComposedBuilder;
}

/** What is asked about the daemon as a whole: info, version, disk usage, pruning and the check of what is stored. */
export function systemService(parts: SystemParts): SystemService {
  const { mechanisms, images, imageDeps, containers, builder } = parts;
  const { clock, conmon, events, facts, log, runtimes, snapshots, volumes } = mechanisms;
  const programs = components([
    { name: "conmon", path: conmon },
    ...[...runtimes.all.values()].map(({ name, path }) => ({ name, path })),
  ]);
  adviseOnRuntime(programs, runtimes.default, log).catch((error: unknown) =>
    log.debug("asking the runtime for its version", { error: messageOf(error) }),
  );
  return new SystemService({
    facts: daemonFacts({
      config: mechanisms.config,
      host: facts,
      remapped: mechanisms.remap !== undefined,
      runtimes,
      cgroupDriver: mechanisms.layout.driver,
      initPath: containers.context.defaults.initPath,
      logDrivers: [...mechanisms.logDrivers.keys()],
      volumeDrivers: [...mechanisms.volumeDrivers.drivers.keys()],
      networkDrivers: ["bridge", "host", "ipvlan", "macvlan", "null"],
    }),
    host: facts,
    components: programs,
    containers: containers.census,
    images: images.store,
    snapshots,
    volumes,
    imageDeps,
    buildCache: builder.collector,
    registry: imageDeps.registry,
    check: checkedParts(parts),
    events,
    clock,
  });
}

/** What `system check` looks through. */
function checkedParts({ mechanisms, images, imageDeps, containers, builder }: SystemParts): CheckDeps {
  const { config, databases, snapshots, volumes } = mechanisms;
  return {
    databases: databases.all.map(({ path, database }) => ({
      name: path,
      problems: (quick) => databaseProblems(database, quick),
    })),
    unreadable: databases.unreadable,
    content: images.content,
    images: images.store,
    snapshots,
    unpacker: images.unpacker,
    layerSize: imageDeps.layerSize,
    registry: imageDeps.registry,
    containers: containers.census,
    inBuilds: () => builder.collector.snapshotsInUse(),
    volumes,
    volumeRoot: join(config.dataRoot, "volumes"),
  };
}
