import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { CheckDeps, CheckOptions, Finding } from "./finding.ts";

/** Containers, their layers and volumes, and what runs. */
export async function* checkContainers(deps: CheckDeps, options: CheckOptions): AsyncGenerator<Finding> {
  for (const { id, name, driver, volumes, running } of deps.containers.list()) {
    options.signal?.throwIfAborted();
    const common = { Kind: "container" as const, Name: name };
    if (driver === deps.snapshots.name && deps.snapshots.stat(id)?.kind !== "active")
      yield {
        ...common,
        Problem: "its writable layer is gone",
        Consequence: "it cannot start, and what it wrote outside of volumes is lost",
        Remedy: `create it anew and remove this one: \`tug rm ${name}\``,
      };
    for (const volume of volumes)
      if (!deps.volumes.get(volume))
        yield {
          ...common,
          Problem: `its volume ${volume} is not recorded`,
          Consequence: "it cannot start",
          Remedy: `\`tug volume create ${volume}\`, which takes over data that still lies in ${join(deps.volumeRoot, volume)}`,
        };
    const problem = running && !options.quick ? await deps.containers.problemOf(id) : undefined;
    if (problem !== undefined)
      yield {
        ...common,
        Problem: problem,
        Consequence: "it is shown as running, and does not work as it should",
        Remedy: `\`tug restart ${name}\``,
      };
  }
}

/** Volumes and their directories. No repair touches either: they are the users' data. */
export function* checkVolumes(deps: CheckDeps): Generator<Finding> {
  const known = new Set<string>();
  for (const { name, driver, mountpoint } of deps.volumes.list()) {
    known.add(name);
    if (driver !== "local" || existsSync(mountpoint)) continue;
    yield {
      Kind: "volume",
      Name: name,
      Problem: `its directory ${mountpoint} is gone`,
      Consequence: "containers that use it cannot start, and its data is lost",
      Remedy:
        "restore the directory from a backup; a restart of the daemon makes it anew, empty, where a container uses it",
    };
  }
  if (!existsSync(deps.volumeRoot)) return;
  for (const entry of readdirSync(deps.volumeRoot)) {
    // No volume's name begins with a dot: those are removals under way.
    if (known.has(entry) || entry.startsWith(".") || deps.volumes.get(entry)) continue;
    yield {
      Kind: "volume",
      Name: entry,
      Problem: `${join(deps.volumeRoot, entry)} holds data and no record names it`,
      Consequence: "no container can use it",
      Remedy: `\`tug volume create ${entry}\` takes it over; when nobody needs the data, remove the directory`,
    };
  }
}

/** Layers and blobs that nothing reaches, and writable layers of containers that are no more. */
export function* checkLeftovers(deps: CheckDeps, collect: () => Promise<void>): Generator<Finding> {
  const { layers, blobs } = deps.images.unreached();
  const common = {
    Kind: "leftover" as const,
    Consequence: "it only takes space",
    Remedy: "`tug system check --repair` removes it",
  };
  const removed = async () => {
    await collect();
    return "removed";
  };
  for (const name of layers)
    yield { ...common, Name: name, Problem: "no image or container needs this layer", repair: removed };
  for (const { digest } of blobs)
    yield { ...common, Name: digest, Problem: "no image names this blob", repair: removed };
  const containers = new Set([...deps.containers.list().map(({ id }) => id), ...deps.containers.setAside()]);
  for (const { name, kind, created } of [...deps.snapshots.list()]) {
    // One that is being made has its layer before its record.
    const settled = Date.now() - created > 600_000;
    if (kind !== "active" || !settled || !/^[0-9a-f]{64}$/.test(name) || containers.has(name)) continue;
    yield {
      ...common,
      Name: name,
      Problem: "a writable layer whose container is not recorded",
      Consequence: "it takes space; what the container wrote lies in it",
      Remedy: `look into ${deps.snapshots.upperdir(name) ?? deps.snapshots.root}; the next start of the daemon removes it`,
    };
  }
}
