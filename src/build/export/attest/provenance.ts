import type { Digest } from "../../../base/lib/ids.ts";
import { tugVersion } from "../../../base/lib/product.ts";
import { redactUrl } from "../../../base/lib/redact-url.ts";
import type { Platform } from "../../../base/spec/oci/descriptor.ts";
import { splitDigest } from "../../../base/spec/oci/digest.ts";
import { formatPlatform } from "../../../base/spec/oci/platform.ts";
import type { Op, Vertex } from "../../graph.ts";
import { inOrder } from "../../in-order.ts";
import type { BuildPlan, PlannedTarget } from "../../plan.ts";
import type { BuildRequest } from "../../request.ts";

export const provenanceTypes = {
  "v0.2": "https://slsa.dev/provenance/v0.2",
  v1: "https://slsa.dev/provenance/v1",
} as const;

export interface ProvenanceInput {
  readonly request: BuildRequest;
  readonly plan: BuildPlan;
  readonly target: PlannedTarget;
  readonly host: Platform;
  /** See `ExportContext`. */
  readonly pins: ReadonlyMap<Digest, Readonly<Record<string, string>>>;
  /** Milliseconds since the epoch. */
  readonly started: number;
  readonly finished: number;
}

/** Where an image came from, in SLSA's terms and BuildKit's layout (docs/attestations/slsa-provenance.md). */
export function provenance(
  input: ProvenanceInput,
  { mode, version }: { readonly mode: "min" | "max"; readonly version: "v0.2" | "v1" },
): object {
  return version === "v1" ? predicateV1(input, mode) : predicateV02(input, mode);
}

const buildType = {
  "v0.2": "https://mobyproject.org/buildkit@v1",
  v1: "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
} as const;

function predicateV02(input: ProvenanceInput, mode: "min" | "max"): object {
  const { request, host, started, finished } = input;
  const complete = completeness(input);
  return {
    buildType: buildType["v0.2"],
    materials: materials(input),
    invocation: {
      configSource: { entryPoint: entryPoint(request) },
      parameters: parameters(request, mode),
      environment: { platform: formatPlatform(host) },
    },
    ...(mode === "max" && { buildConfig: { llbDefinition: definition(input) } }),
    metadata: {
      buildInvocationID: request.id,
      buildStartedOn: new Date(started).toISOString(),
      buildFinishedOn: new Date(finished).toISOString(),
      completeness: { parameters: mode === "max", environment: true, materials: complete },
      reproducible: false,
      "https://mobyproject.org/buildkit@v1#metadata": {
        ...(mode === "max" && { source: sources(input) }),
      },
    },
    builder: { id: `tug/${tugVersion}` },
  };
}

function predicateV1(input: ProvenanceInput, mode: "min" | "max"): object {
  const { request, host, started, finished } = input;
  return {
    buildDefinition: {
      buildType: buildType.v1,
      externalParameters: {
        configSource: { path: entryPoint(request) },
        request: parameters(request, mode),
      },
      internalParameters: {
        builderPlatform: formatPlatform(host),
        ...(mode === "max" && { buildConfig: { llbDefinition: definition(input) } }),
      },
      resolvedDependencies: materials(input),
    },
    runDetails: {
      builder: { id: `tug/${tugVersion}` },
      metadata: {
        invocationId: request.id,
        startedOn: new Date(started).toISOString(),
        finishedOn: new Date(finished).toISOString(),
        buildkit_completeness: { request: mode === "max", resolvedDependencies: completeness(input) },
        buildkit_reproducible: false,
        ...(mode === "max" && { buildkit_metadata: { source: sources(input) } }),
      },
    },
  };
}

const entryPoint = ({ dockerfile }: BuildRequest) => dockerfile || "Dockerfile";

/** Values of arguments may be anything: only `mode=max` tells them. Values of secrets are never among them. */
function parameters(request: BuildRequest, mode: "min" | "max"): object {
  const prefixed = (prefix: string, pairs: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(pairs).map(([name, value]) => [`${prefix}:${name}`, value]));
  const args: Record<string, string> = {
    ...(request.target !== "" && { target: request.target }),
    ...(mode === "max" && {
      ...prefixed("build-arg", request.buildArgs),
      ...prefixed("label", request.labels),
      ...(request.noCache === true && { "no-cache": "" }),
    }),
  };
  const locals = [...localNames(request)].map((name) => ({ name }));
  return { frontend: "dockerfile.v0", ...(mode === "max" && { args }), locals };
}

function localNames(request: BuildRequest): ReadonlySet<string> {
  const refs = [request.context, request.dockerfileContext, ...Object.values(request.namedContexts)];
  return new Set(refs.flatMap((ref) => (ref?.kind === "local" ? [ref.name] : [])));
}

/** Everything that a build reads is known but what its client sent. */
function completeness({ target }: ProvenanceInput): boolean {
  return !reachable(target).some(
    ({ op }) => op.kind === "local" || (op.kind === "exec" && op.network !== "none"),
  );
}

interface Material {
  readonly uri: string;
  readonly digest?: Readonly<Record<string, string>>;
}

function materials({ target, pins }: ProvenanceInput): readonly Material[] {
  const found = new Map<string, Material>();
  const add = (material: Material) => void found.set(material.uri, material);
  const base = target.base;
  if (base) add(imageMaterial(base.reference, base.image, target.platform));
  for (const { op, digest: vertex } of reachable(target)) {
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

/** The steps, inputs before what reads them. */
function definition({ target }: ProvenanceInput): readonly object[] {
  const steps = reachable(target);
  const ids = new Map(steps.map((vertex, index) => [vertex, `step${index}`]));
  return steps.map((vertex) => ({
    id: ids.get(vertex),
    name: redactUrl(vertex.name),
    op: told(vertex.op),
    inputs: vertex.inputs.map((input) => `${ids.get(input)}:0`),
  }));
}

/** Without what is the session's, which names nothing for anybody else, and proxies, whose addresses may have passwords in them. */
function told(op: Op): object {
  if (op.kind === "exec") {
    const { proxyEnv: _, ...rest } = op;
    return rest;
  }
  if (op.kind === "http") return { ...op, url: redactUrl(op.url) };
  if (op.kind === "git") return { ...op, remote: redactUrl(op.remote) };
  if (op.kind !== "local") return op;
  const { session: _, ...rest } = op;
  return rest;
}

function sources({ plan, target }: ProvenanceInput): object {
  const steps = reachable(target);
  const locations = Object.fromEntries(
    steps.flatMap(({ location }, index) => {
      if (!location) return [];
      const { start, end } = location.range;
      const range = { start: { line: start.line }, end: { line: end.line } };
      return [[`step${index}`, { locations: [{ sourceIndex: location.file, ranges: [range] }] }]];
    }),
  );
  return {
    locations,
    infos: plan.files.map(({ name, text }) => ({
      filename: name,
      language: "Dockerfile",
      data: Buffer.from(text).toString("base64"),
    })),
  };
}

/** Every step that a target is made of, inputs first. */
function reachable({ root, layers }: PlannedTarget): readonly Vertex[] {
  return inOrder(root ? [...layers, root] : layers);
}
