import { tugVersion } from "../../../base/lib/product.ts";
import { redactUrl } from "../../../base/lib/redact-url.ts";
import type { ProvenanceOptions } from "../../../base/spec/builder/request.ts";
import type { Platform } from "../../../base/spec/oci/descriptor.ts";
import { formatPlatform } from "../../../base/spec/oci/platform.ts";
import type { Vertex } from "../../graph.ts";
import { inOrder } from "../../in-order.ts";
import type { BuildPlan, PlannedTarget } from "../../plan.ts";
import type { BuildRequest } from "../../request.ts";
import { definition, sources } from "./definition.ts";
import { configSource, materials, type Pins } from "./materials.ts";

export const provenanceTypes = {
  "v0.2": "https://slsa.dev/provenance/v0.2",
  v1: "https://slsa.dev/provenance/v1",
} as const;

export interface ProvenanceInput {
  readonly request: BuildRequest;
  readonly plan: BuildPlan;
  readonly target: PlannedTarget;
  readonly host: Platform;
  readonly pins: Pins;
  /** Milliseconds since the epoch. */
  readonly started: number;
  readonly finished: number;
}

/** Where an image came from, in SLSA's terms and BuildKit's layout (docs/attestations/slsa-definitions.md). */
export function provenance(input: ProvenanceInput, options: ProvenanceOptions): object {
  const facts = factsOf(input, options);
  return options.version === "v1" ? predicateV1(facts) : predicateV02(facts);
}

const buildType = {
  "v0.2": "https://mobyproject.org/buildkit@v1",
  v1: "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
} as const;

/** What both versions tell, each under names of its own. */
function factsOf(input: ProvenanceInput, { mode, builderId, reproducible = false }: ProvenanceOptions) {
  const { request, plan, target, pins, started, finished } = input;
  const steps = reachable(target);
  const complete = !steps.some(({ op }) => op.kind === "local");
  const vcs = vcsOf(request);
  return {
    builderId: builderId ?? `tug/${tugVersion}`,
    config: configSource(request.context, steps, pins),
    entryPoint: request.dockerfile || "Dockerfile",
    parameters: parameters(request, steps, mode),
    platform: formatPlatform(input.host),
    materials: materials(target, steps, pins),
    buildConfig: mode === "max" ? { buildConfig: { llbDefinition: definition(steps) } } : {},
    id: request.id,
    started: new Date(started).toISOString(),
    finished: new Date(finished).toISOString(),
    complete: { parameters: mode === "max", materials: complete },
    hermetic: complete && !steps.some(({ op }) => op.kind === "exec" && op.network !== "none"),
    reproducible,
    extension: {
      ...(Object.keys(vcs).length > 0 && { vcs }),
      ...(mode === "max" && { source: sources(steps, plan.files) }),
    },
  };
}

type Facts = ReturnType<typeof factsOf>;

function predicateV02(facts: Facts): object {
  const { complete } = facts;
  return {
    buildType: buildType["v0.2"],
    materials: facts.materials,
    invocation: {
      configSource: { ...facts.config, entryPoint: facts.entryPoint },
      parameters: facts.parameters,
      environment: { platform: facts.platform },
    },
    ...facts.buildConfig,
    metadata: {
      buildInvocationID: facts.id,
      buildStartedOn: facts.started,
      buildFinishedOn: facts.finished,
      completeness: { parameters: complete.parameters, environment: true, materials: complete.materials },
      reproducible: facts.reproducible,
      "https://mobyproject.org/buildkit@v1#metadata": facts.extension,
      ...(facts.hermetic && { "https://mobyproject.org/buildkit@v1#hermetic": true }),
    },
    builder: { id: facts.builderId },
  };
}

function predicateV1(facts: Facts): object {
  const { complete } = facts;
  return {
    buildDefinition: {
      buildType: buildType.v1,
      externalParameters: {
        configSource: { ...facts.config, path: facts.entryPoint },
        request: facts.parameters,
      },
      internalParameters: { builderPlatform: facts.platform, ...facts.buildConfig },
      resolvedDependencies: facts.materials,
    },
    runDetails: {
      builder: { id: facts.builderId },
      metadata: {
        invocationId: facts.id,
        startedOn: facts.started,
        finishedOn: facts.finished,
        buildkit_metadata: facts.extension,
        ...(facts.hermetic && { buildkit_hermetic: true }),
        buildkit_completeness: { request: complete.parameters, resolvedDependencies: complete.materials },
        buildkit_reproducible: facts.reproducible,
      },
    },
  };
}

/** Values of arguments may be anything, and names of secrets tell something: only `mode=max` has them. Values of secrets are never among them. */
function parameters(request: BuildRequest, steps: readonly Vertex[], mode: "min" | "max"): object {
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
  const lent = (kind: "secret" | "ssh") => (mode === "max" ? lentTo(steps, kind) : []);
  const [secrets, ssh] = [lent("secret"), lent("ssh")];
  return {
    frontend: "dockerfile.v0",
    ...(Object.keys(args).length > 0 && { args }),
    ...(secrets.length > 0 && { secrets }),
    ...(ssh.length > 0 && { ssh }),
    locals: [...localNames(request)].map((name) => ({ name })),
  };
}

interface LentName {
  readonly id: string;
  readonly optional?: true;
}

/** Ids of the secrets, or agents, that steps have mounted; `optional`: none of them needs it. */
function lentTo(steps: readonly Vertex[], kind: "secret" | "ssh"): readonly LentName[] {
  const required = new Map<string, boolean>();
  for (const { op } of steps)
    for (const mount of op.kind === "exec" ? op.mounts : [])
      if (mount.kind === kind) required.set(mount.id, mount.required || required.get(mount.id) === true);
  return [...required]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, needed]) => ({ id, ...(!needed && { optional: true }) }));
}

function localNames(request: BuildRequest): ReadonlySet<string> {
  const refs = [request.context, request.dockerfileContext, ...Object.values(request.namedContexts)];
  return new Set(refs.flatMap((ref) => (ref?.kind === "local" ? [ref.name] : [])));
}

function vcsOf({ vcs = {} }: BuildRequest): Readonly<Record<string, string>> {
  const told = Object.entries(vcs).filter(([, value]) => value !== "");
  return Object.fromEntries(
    told.map(([name, value]) => [name, name === "source" ? redactUrl(value) : value]),
  );
}

/** Every step that a target is made of, inputs first. */
function reachable({ root, layers }: PlannedTarget): readonly Vertex[] {
  return inOrder(root ? [...layers, root] : layers);
}
