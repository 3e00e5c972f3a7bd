import { join } from "node:path";
import { TugError } from "../../../base/lib/errors.ts";
import type { Digest } from "../../../base/lib/ids.ts";
import type { ExportDeps } from "../deps.ts";
import type { ExportContext, SolvedTarget } from "../exporter.ts";
import { findPackages } from "./packages.ts";
import { provenance, provenanceTypes } from "./provenance.ts";
import { spdxDocument, spdxType } from "./spdx.ts";
import { type Statement, statement } from "./statement.ts";

/** The same by the name that it has as a file (`--output type=local`). */
export interface NamedStatement {
  readonly file: string;
  readonly type: string;
  readonly predicate: object;
}

/** What was asked to be told of a target: where it came from, what is in it. `inline`: goes into an image, not beside a tree. */
export async function predicates(
  deps: ExportDeps,
  context: ExportContext,
  solved: SolvedTarget,
  inline: boolean,
): Promise<readonly NamedStatement[]> {
  const { request, plan, signal } = context;
  const found: NamedStatement[] = [];
  const { sbom, provenance: asked } = request.attestations;
  const finished = request.epoch === undefined ? deps.clock.now() : request.epoch * 1000;
  if (sbom) {
    refuseGenerator(sbom.generator);
    const packages = await scan(deps, solved, signal);
    const predicate = spdxDocument(solved.target.stage, packages, finished);
    found.push({ file: "sbom.spdx.json", type: spdxType, predicate });
  }
  if (asked && (inline || asked.inlineOnly !== true)) {
    const version = asked.version ?? "v0.2";
    const started = request.epoch === undefined ? context.started : finished;
    const { pins } = context;
    const input = { request, plan, target: solved.target, host: deps.host, started, finished, pins };
    const predicate = provenance(input, asked);
    const file = asked.filename ?? "provenance.json";
    found.push({ file, type: provenanceTypes[version], predicate });
  }
  return found;
}

export async function statements(
  deps: ExportDeps,
  context: ExportContext,
  solved: SolvedTarget,
  subject: readonly { readonly name: string; readonly digest: Digest }[],
): Promise<readonly Statement[]> {
  // What clients ask for by themselves is for images that have a place for it: an archive for `docker load` of old has none.
  const all = await predicates(deps, context, solved, context.output.type !== "docker");
  return all.map(({ type, predicate }) => statement(type, predicate, subject));
}

function refuseGenerator(generator: string): void {
  if (generator === "" || /^(?:docker\.io\/)?docker\/buildkit-syft-scanner(?::[\w.-]+)?$/.test(generator))
    return;
  throw new TugError(
    "not-implemented",
    `the SBOM generator ${JSON.stringify(generator)} is not run: this builder reads the databases of dpkg, apk and npm itself; leave \`generator\` out`,
  );
}

/** The target's packages, and those of stages and contexts that the Dockerfile names besides. */
async function scan(deps: ExportDeps, { root, scanned }: SolvedTarget, signal: AbortSignal) {
  const all = [root, ...scanned].map((result, index) => ({
    name: `tree${index}`,
    snapshot: result?.snapshot,
  }));
  await using trees = await deps.trees.open(all);
  const found = [];
  for (const { name } of all) found.push(await findPackages(join(trees.path, name), signal));
  const [own, ...others] = found;
  return {
    distribution: own?.distribution ?? "",
    release: own?.release ?? "",
    packages: [...(own?.packages ?? []), ...others.flatMap(({ packages }) => packages)],
  };
}
