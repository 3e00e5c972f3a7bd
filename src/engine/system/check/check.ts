import { messageOf } from "../../../base/lib/errors.ts";
import type { SystemCheckFinding, SystemCheckReport } from "../../../base/spec/docker/extensions.ts";
import { rebuildRemedy } from "../../../base/store/database.ts";
import { remedyOf } from "../../../base/store/unreadable.ts";
import { checkBlobs } from "./blobs.ts";
import type { CheckDeps, CheckOptions, Finding } from "./finding.ts";
import { checkLayers } from "./layers.ts";
import { checkContainers, checkLeftovers, checkVolumes } from "./objects.ts";

/** A repair that does not hold must not go on for ever. */
const maxPasses = 4;

/**
 * Looks whether everything that the records name is there and whole, from the ground up: databases, blobs, layers, containers, volumes, and
 * what nothing names. With `repair`, what can be brought back is: from the image's record, from the repository that it was pulled from, by
 * unpacking again. Each kind is repaired before the next is looked at, which may need it. Volumes and writable layers are never touched.
 */
export async function checkSystem(
  deps: CheckDeps,
  options: CheckOptions & { readonly repair: boolean },
): Promise<SystemCheckReport> {
  const collect = () => deps.images.collect();
  const told = new Map<string, SystemCheckFinding>();
  const kinds: readonly (() => Iterable<Finding> | AsyncIterable<Finding>)[] = [
    () => checkDatabases(deps, options.quick),
    () => checkRecords(deps),
    () => checkBlobs(deps, options),
    () => checkLayers(deps, options),
    () => checkContainers(deps, options),
    () => checkVolumes(deps),
    () => checkLeftovers(deps, collect),
  ];
  for (const kind of kinds) {
    // What was repaired may show more, and where it can be had: a manifest that is back names layers and their repository.
    for (let more = true, pass = 0; more && pass < maxPasses; pass++) {
      more = false;
      // All of a kind first: a repair changes what is being looked through.
      const findings = new Map<string, Finding>();
      for await (const finding of kind()) findings.set(`${finding.Kind} ${finding.Name}`, finding);
      for (const [key, finding] of findings) {
        options.signal?.throwIfAborted();
        const outcome = await settled(finding, options.repair);
        more ||= outcome.Repaired;
        told.set(key, outcome);
      }
    }
  }
  return { Quick: options.quick, Checked: counts(deps), Findings: [...told.values()] };
}

async function settled({ repair, ...finding }: Finding, wanted: boolean): Promise<SystemCheckFinding> {
  if (!wanted || !repair) return { ...finding, Repaired: false, Outcome: "" };
  try {
    return { ...finding, Repaired: true, Outcome: await repair() };
  } catch (error) {
    return { ...finding, Repaired: false, Outcome: messageOf(error) };
  }
}

function* checkDatabases(deps: CheckDeps, quick: boolean): Generator<Finding> {
  for (const { name, problems } of deps.databases)
    for (const problem of problems(quick))
      yield {
        Kind: "database",
        Name: name,
        Problem: problem,
        Consequence: "records may be wrong or missing, and writes may fail",
        Remedy: rebuildRemedy(name),
      };
}

/** Rows that were left out; the image's config, which is a blob too, was put back by the start. */
function* checkRecords({ unreadable }: CheckDeps): Generator<Finding> {
  for (const record of unreadable.list())
    yield {
      Kind: "database",
      Name: `${record.file}: ${record.table} ${record.key[1]}`,
      Problem: `its ${record.column} cannot be read: ${record.problem}`,
      Consequence: "it is left out, and what belongs to it is kept, until the row is repaired",
      Remedy: remedyOf(record),
    };
}

function counts(deps: CheckDeps): Record<string, number> {
  const all = [...deps.snapshots.list()];
  return {
    Databases: deps.databases.length,
    Blobs: [...deps.content.list()].length,
    Images: deps.images.all().length,
    Layers: all.filter(({ kind }) => kind === "committed").length,
    Containers: deps.containers.list().length,
    Volumes: deps.volumes.list().length,
  };
}
