import { invalid, messageOf } from "../../base/lib/errors.ts";
import type { BuildRequest, CacheRef, ContextRef, Output } from "../../base/spec/builder/request.ts";
import { familiarString, parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import { hostPlatform, parsePlatform } from "../../base/spec/oci/platform.ts";
import { decode, int, isRecord, list, map, object, type Shape, string } from "../decode/shape.ts";
import type { Query } from "../query.ts";

/** The name by which the classic protocol's body is a context. */
export const bodyContext = "context";

/** What `POST /build` asks for, without its body. `id` names the build in `/build/cancel`. */
export function classicBuildRequest(query: Query, id: string): BuildRequest {
  const squash = query.bool("squash");
  const platform = query.text("platform");
  return {
    id,
    context: contextOf(query.text("remote")),
    dockerfileContext: undefined,
    dockerfile: query.text("dockerfile"),
    target: query.text("target"),
    buildArgs: textMap(query, "buildargs", "build args"),
    labels: textMap(query, "labels", "labels"),
    platforms: platform === "" ? [] : [parsePlatform(platform, hostPlatform())],
    namedContexts: {},
    noCache: query.bool("nocache"),
    pull: query.bool("pull"),
    network: networkOf(query.text("networkmode")),
    hosts: query.all("extrahosts").flatMap(hostsOf),
    hostname: "",
    shmSize: query.integer("shmsize") ?? 0,
    ulimits: ulimitsOf(query.text("ulimits")),
    cgroupParent: query.text("cgroupparent"),
    resources: resourcesOf(query),
    entitlements: query.text("networkmode") === "host" ? ["network.host"] : [],
    cacheFrom: listOf(query, "cachefrom").map((ref): CacheRef => ({ type: "image", attributes: { ref } })),
    cacheTo: [],
    outputs: outputsOf(query),
    attestations: { provenance: false, sbom: false },
    squash,
    epoch: undefined,
    multiPlatform: false,
    skipLintRules: [],
    lintErrors: false,
  };
}

/** The tags that the image gets, as people see them. Throws invalid in dockerd's words. */
export function classicTags(query: Query): readonly string[] {
  const names = query.all("t").filter((name) => name !== "");
  return [...new Set(names.map(tagOf))];
}

function tagOf(text: string): string {
  let ref: ReturnType<typeof parseReference>;
  try {
    ref = parseReference(text);
  } catch (error) {
    throw invalid(messageOf(error), error);
  }
  if (ref.digest !== undefined) throw invalid("build tag cannot contain a digest");
  return familiarString(withDefaultTag(ref));
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

function hostsOf(text: string): BuildRequest["hosts"] {
  const entries: readonly string[] = text.startsWith("[")
    ? (parseJson(list(string), text, "extra hosts") ?? [])
    : [text];
  return entries
    .filter((entry) => entry !== "")
    .map((entry) => {
      const split = /^([^:=]+)[:=](.+)$/.exec(entry);
      if (!split) throw invalid(`bad format for add-host: ${JSON.stringify(entry)}`);
      return { host: split[1] ?? "", address: split[2] ?? "" };
    });
}

const ulimitShape = object({ Name: string, Soft: int, Hard: int });

function ulimitsOf(text: string): BuildRequest["ulimits"] {
  if (text === "") return [];
  return (parseJson(list(ulimitShape), text, "ulimit settings") ?? []).map(
    ({ Name = "", Soft = 0, Hard = 0 }) => ({
      name: Name,
      soft: Soft,
      hard: Hard,
    }),
  );
}

function resourcesOf(query: Query): BuildRequest["resources"] {
  const resources: Record<string, number | string> = {};
  const numbers = {
    memory: "Memory",
    memswap: "MemorySwap",
    cpushares: "CpuShares",
    cpuperiod: "CpuPeriod",
    cpuquota: "CpuQuota",
  };
  for (const [parameter, name] of Object.entries(numbers)) {
    const value = query.integer(parameter);
    if (value) resources[name] = value;
  }
  for (const [parameter, name] of [
    ["cpusetcpus", "CpusetCpus"],
    ["cpusetmems", "CpusetMems"],
  ] as const) {
    const value = query.optional(parameter);
    if (value !== undefined) resources[name] = value;
  }
  return resources;
}

function listOf(query: Query, name: string): readonly string[] {
  const text = query.text(name);
  return text === "" ? [] : (parseJson(list(string), text, name) ?? []).filter((entry) => entry !== "");
}

/** A map whose null values (a build argument without a value that the client does not have either) are left out. */
function textMap(query: Query, name: string, what: string): Readonly<Record<string, string>> {
  const text = query.text(name);
  return text === "" ? {} : (parseJson(map(string), text, what) ?? {});
}

const outputShape = object({ Type: string, Attrs: map(string) });

function outputsOf(query: Query): readonly Output[] {
  const names = classicTags(query);
  const image: Output = {
    id: "",
    type: "image",
    attributes: names.length > 0 ? { name: names.join(",") } : {},
  };
  const text = query.text("outputs");
  if (text === "") return [image];
  const asked = parseJson(list(outputShape), text, "outputs") ?? [];
  if (asked.length === 0) return [image];
  return asked.map(({ Type = "", Attrs = {} }) => {
    if (Type !== "moby" && Type !== "image") {
      throw invalid(`output type ${JSON.stringify(Type)} needs a client that speaks BuildKit's protocol`);
    }
    return { ...image, attributes: { ...Attrs, ...image.attributes } };
  });
}

/** undefined for null, which is how Go writes what is empty. */
function parseJson<T>(shape: Shape<T>, text: string, what: string): T | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`error reading ${what}: ${messageOf(error)}`, error);
  }
  const kept = isRecord(value)
    ? Object.fromEntries(Object.entries(value).filter(([, each]) => each !== null))
    : value;
  return kept === null ? undefined : decode(shape, kept, what);
}
