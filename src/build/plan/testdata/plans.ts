import type { Digest } from "../../../base/lib/ids.ts";
import type { ImageConfig, ImageRunConfig } from "../../../base/spec/oci/image.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import type { BuildPlan, ResolvedImage } from "../../plan.ts";
import type { BuildRequest } from "../../request.ts";
import type { PlanInput } from "../input.ts";
import { planBuild } from "../planner.ts";

/** What nobody asked anything special of. */
export const plainRequest: BuildRequest = {
  id: "build",
  context: { kind: "local", name: "context" },
  dockerfileContext: undefined,
  dockerfile: "",
  target: "",
  buildArgs: {},
  labels: {},
  platforms: [],
  namedContexts: {},
  noCache: false,
  pull: false,
  network: "default",
  hosts: [],
  hostname: "",
  shmSize: 0,
  ulimits: [],
  cgroupParent: "",
  resources: {},
  entitlements: [],
  cacheFrom: [],
  cacheTo: [],
  outputs: [],
  attestations: { provenance: false, sbom: false },
  squash: false,
  epoch: undefined,
  multiPlatform: false,
  skipLintRules: [],
  lintErrors: false,
};

export const amd64 = { os: "linux", architecture: "amd64" } as const;

export function planInput(
  text: string,
  request: Partial<BuildRequest> = {},
  more: Partial<PlanInput> = {},
): PlanInput {
  return {
    request: { ...plainRequest, ...request },
    session: "session",
    host: amd64,
    dockerfile: { name: "Dockerfile", text },
    ignore: "",
    images: new Map(),
    ignoreFiles: new Map(),
    ...more,
  };
}

/** An image of one layer. */
export function image(run: ImageRunConfig = {}, platform = amd64 as ImageConfig): ResolvedImage {
  const config: ImageConfig = {
    os: platform.os,
    architecture: platform.architecture,
    created: "2020-01-01T00:00:00Z",
    config: { Env: ["PATH=/bin"], Cmd: ["sh"], ...run },
    rootfs: { type: "layers", diff_ids: [digestOf("layer") as string as never] },
    history: [{ created: "2020-01-01T00:00:00Z", created_by: "base" }],
  };
  return { digest: digestOf("manifest") as Digest, image: digestOf(JSON.stringify(config)), config };
}

/** The plan, with every image being `image()` of its platform unless `images` says what its configuration is. */
export function planOf(
  text: string,
  request: Partial<BuildRequest> = {},
  more: Partial<PlanInput> & { readonly runs?: Readonly<Record<string, ImageRunConfig>> } = {},
): BuildPlan {
  const images = new Map(more.images);
  const ignoreFiles = new Map(more.ignoreFiles);
  for (let round = 0; round < 5; round++) {
    const result = planBuild(planInput(text, request, { ...more, images, ignoreFiles }));
    if (result.kind === "planned") return result.plan;
    for (const need of result.images)
      images.set(need.key, image(more.runs?.[need.reference], need.platform as never));
    for (const need of result.ignoreFiles) ignoreFiles.set(need.context, "");
  }
  throw new Error("the planner asks again and again");
}
