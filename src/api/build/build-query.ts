import { invalid, messageOf } from "../../base/lib/errors.ts";
import type { BuildRequest } from "../../base/spec/builder/request.ts";
import { familiarString, parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import { decode, int, isRecord, list, map, object, type Shape, string } from "../decode/shape.ts";
import type { Query } from "../query.ts";

/** The parameters of `POST /build`, whichever protocol it belongs to. Texts are "" and lists empty where nothing was said. */
export interface BuildQuery
  extends Pick<
    BuildRequest,
    | "target"
    | "dockerfile"
    | "buildArgs"
    | "labels"
    | "pull"
    | "hosts"
    | "shmSize"
    | "ulimits"
    | "cgroupParent"
    | "resources"
    | "squash"
  > {
  readonly quiet: boolean;
  readonly remote: string;
  readonly platform: string;
  readonly noCache: boolean;
  readonly networkMode: string;
  readonly cacheFrom: readonly string[];
  readonly outputs: readonly { readonly type: string; readonly attrs: Readonly<Record<string, string>> }[];
  /** As people see them, each once. */
  readonly tags: readonly string[];
}

/** Throws invalid, in dockerd's words where it has some. */
export function readBuildQuery(query: Query): BuildQuery {
  if (query.all("securityopt").some((option) => option !== ""))
    throw invalid("The daemon on this platform does not support setting security options on build");
  return {
    quiet: query.bool("q"),
    remote: query.text("remote"),
    target: query.text("target"),
    dockerfile: query.text("dockerfile"),
    buildArgs: textMap(query, "buildargs", "build args"),
    labels: textMap(query, "labels", "labels"),
    platform: query.text("platform"),
    noCache: query.bool("nocache"),
    pull: query.bool("pull"),
    networkMode: query.text("networkmode"),
    hosts: query.all("extrahosts").flatMap(hostsOf),
    shmSize: query.integer("shmsize") ?? 0,
    ulimits: ulimitsOf(query.text("ulimits")),
    cgroupParent: query.text("cgroupparent"),
    resources: resourcesOf(query),
    squash: query.bool("squash"),
    cacheFrom: listOf(query, "cachefrom"),
    outputs: outputsOf(query.text("outputs")),
    tags: tagsOf(query),
  };
}

function tagsOf(query: Query): readonly string[] {
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

function outputsOf(text: string): BuildQuery["outputs"] {
  if (text === "") return [];
  const asked = parseJson(list(outputShape), text, "outputs") ?? [];
  return asked.map(({ Type = "", Attrs = {} }) => ({ type: Type, attrs: Attrs }));
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
