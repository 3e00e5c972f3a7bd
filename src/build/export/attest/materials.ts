import type { Digest } from "../../../base/lib/ids.ts";
import { redactUrl } from "../../../base/lib/redact-url.ts";
import type { ContextRef } from "../../../base/spec/builder/request.ts";
import { parseGitRef } from "../../../base/spec/dockerfile/git-ref.ts";
import type { Platform } from "../../../base/spec/oci/descriptor.ts";
import { splitDigest } from "../../../base/spec/oci/digest.ts";
import { formatPlatform } from "../../../base/spec/oci/platform.ts";
import type { Vertex } from "../../graph.ts";
import type { PlannedTarget } from "../../plan.ts";

/** What sources of the network were, by their vertices' digests: a commit, a file's digest. */
export type Pins = ReadonlyMap<Digest, Readonly<Record<string, string>>>;

/** What a build was made from. `digest`: hex by algorithm. */
interface Material {
  readonly uri: string;
  readonly digest?: Readonly<Record<string, string>>;
}

export function materials(
  { base, platform }: PlannedTarget,
  steps: readonly Vertex[],
  pins: Pins,
): readonly Material[] {
  const found = new Map<string, Material>();
  const add = (material: Material) => void found.set(material.uri, material);
  if (base) add(imageMaterial(base.reference, base.image, platform));
  for (const { op, digest: vertex } of steps) {
    const digest = pins.get(vertex);
    if (op.kind === "image") add(imageMaterial(op.reference, op.image, op.platform));
    if (op.kind === "http") add({ uri: redactUrl(op.url), ...(digest && { digest }) });
    if (op.kind === "git") {
      const ref = op.ref === "" ? "" : `#${op.ref}`;
      add({ uri: `${redactUrl(op.remote)}${ref}`, ...(digest && { digest }) });
    }
  }
  return [...found.values()];
}

/** As a package URL (purl-spec, type "docker"). */
function imageMaterial(reference: string, digest: Digest, platform: Platform): Material {
  const short = reference.replace(/^docker\.io\/(?:library\/)?/, "");
  const [named = short] = short.split("@");
  const colon = named.lastIndexOf(":");
  const tagged = colon > named.lastIndexOf("/");
  const name = tagged ? named.slice(0, colon) : named;
  const tag = tagged ? `@${named.slice(colon + 1)}` : "";
  const shown = encodeURIComponent(formatPlatform(platform));
  return { uri: `pkg:docker/${name}${tag}?platform=${shown}`, digest: digestSet(digest) };
}

function digestSet(digest: Digest): Readonly<Record<string, string>> {
  const { algorithm, hex } = splitDigest(digest);
  return { [algorithm]: hex };
}

/** The context that brings the Dockerfile along, where it is a remote one, and what was found there. */
export function configSource(context: ContextRef, steps: readonly Vertex[], pins: Pins): Partial<Material> {
  if (context.kind !== "git" && context.kind !== "http") return {};
  const git = context.kind === "git" ? parseGitRef(context.url) : undefined;
  const step = steps.find(({ op }) =>
    git
      ? op.kind === "git" && op.remote === git.remote && op.ref === git.ref
      : op.kind === "http" && op.url === context.url,
  );
  const digest = step && pins.get(step.digest);
  return { uri: redactUrl(context.url), ...(digest && { digest }) };
}
