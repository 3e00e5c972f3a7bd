import { invalid } from "../../base/lib/errors.ts";
import type { BuildRequest, CacheRef, ContextRef, Output } from "../../base/spec/builder/request.ts";
import { hostPlatform, parsePlatform } from "../../base/spec/oci/platform.ts";
import type { BuildQuery } from "./build-query.ts";

/** The name by which the classic protocol's body is a context. */
const bodyContext = "context";

/** What the classic `POST /build` asks for, without its body. `id` names the build in `/build/cancel`. */
export function classicBuildRequest(query: BuildQuery, id: string): BuildRequest {
  const { quiet: _, remote, platform, networkMode, cacheFrom, outputs, tags, ...same } = query;
  return {
    ...same,
    id,
    context: contextOf(remote),
    dockerfileContext: undefined,
    platforms: platform === "" ? [] : [parsePlatform(platform, hostPlatform())],
    namedContexts: {},
    network: networkOf(networkMode),
    hostname: "",
    entitlements: networkMode === "host" ? ["network.host"] : [],
    cacheFrom: cacheFrom.map((ref): CacheRef => ({ type: "image", attributes: { ref } })),
    cacheTo: [],
    outputs: outputsOf(outputs, tags),
    attestations: { provenance: false, sbom: false },
    epoch: undefined,
    multiPlatform: false,
    skipLintRules: [],
    lintErrors: false,
  };
}

function contextOf(remote: string): ContextRef {
  if (remote === "") return { kind: "local", name: bodyContext };
  if (/^https?:\/\//.test(remote) && !/\.git(?:#.*)?$/.test(remote)) return { kind: "http", url: remote };
  return { kind: "git", url: remote };
}

function networkOf(mode: string): BuildRequest["network"] {
  switch (mode) {
    case "":
    case "default":
    case "bridge":
      return "default";
    case "host":
    case "none":
      return mode;
    default:
      return mode.startsWith("container:")
        ? `container:${mode.slice("container:".length)}`
        : `network:${mode}`;
  }
}

function outputsOf(asked: BuildQuery["outputs"], tags: BuildQuery["tags"]): readonly Output[] {
  const image: Output = {
    id: "",
    type: "image",
    attributes: tags.length > 0 ? { name: tags.join(",") } : {},
  };
  if (asked.length === 0) return [image];
  return asked.map(({ type, attrs }) => {
    if (type !== "moby" && type !== "image") {
      throw invalid(`output type ${JSON.stringify(type)} needs a client that speaks BuildKit's protocol`);
    }
    return { ...image, attributes: { ...attrs, ...image.attributes } };
  });
}
