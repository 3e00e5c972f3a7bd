import { TugError } from "../../base/lib/errors.ts";
import type { AttestationStatement } from "../../base/spec/docker/api.gen.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { manifestLimit, parseManifest } from "../../base/spec/oci/parse.ts";
import { attestationSubject, completeManifest } from "../../core/image/index-tree.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { wireDescriptor } from "./descriptor.ts";
import { platformOption } from "./platform-option.ts";

export interface AttestationOptions {
  readonly platform: string | undefined;
  /** Predicate types; empty: all. */
  readonly types: readonly string[];
  /** With the statements themselves. */
  readonly statement: boolean;
}

/** Above any statement a build makes; an SBOM of a large image is a few MB. */
const statementLimit = 64 * 1024 * 1024;

/** The in-toto statements that came with an image's platform, in the index's order. */
export async function imageAttestations(
  deps: ImageServiceDeps,
  reference: string,
  options: AttestationOptions,
): Promise<readonly AttestationStatement[]> {
  const { index } = deps.images.find(reference);
  const { image } = deps.images.find(reference, platformOption(deps, options.platform));
  if (!index) return [];
  const subject = [...index.present].find(([, id]) => id === image.id)?.[0];
  const statements: AttestationStatement[] = [];
  for (const entry of index.manifests) {
    if (subject === undefined || attestationSubject(entry) !== subject) continue;
    if (!(await completeManifest(deps.content, entry))) continue;
    const { layers } = parseManifest(await deps.content.read(entry.digest, manifestLimit));
    for (const layer of layers) {
      const type = layer.annotations?.["in-toto.io/predicate-type"] ?? "";
      if (options.types.length > 0 && !options.types.includes(type)) continue;
      statements.push({
        Descriptor: wireDescriptor(layer),
        PredicateType: type,
        ...(options.statement ? { Statement: await readStatement(deps, layer) } : {}),
      });
    }
  }
  return statements;
}

async function readStatement(deps: ImageServiceDeps, layer: Descriptor): Promise<Record<string, never>> {
  const text = Buffer.from(await deps.content.read(layer.digest, statementLimit)).toString("utf8");
  try {
    return JSON.parse(text) as Record<string, never>;
  } catch (cause) {
    throw new TugError("data-loss", `attestation ${layer.digest} is no JSON`, { cause });
  }
}
