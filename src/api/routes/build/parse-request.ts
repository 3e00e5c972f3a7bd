import { parseBoolean } from "../../../base/lib/boolean.ts";
import { parseCsv } from "../../../base/lib/csv.ts";
import { invalid, TugError } from "../../../base/lib/errors.ts";
import { isBuiltIn } from "../../../base/spec/builder/frontend.ts";
import type {
  Attestations,
  BuildRequest,
  CacheRef,
  ContextRef,
  Output,
  ProvenanceOptions,
} from "../../../base/spec/builder/request.ts";
import type { Definition } from "../../../base/spec/buildkit/pb.gen.ts";
import { parseGitRef } from "../../../base/spec/dockerfile/git-ref.ts";
import { hostPlatform, parsePlatform } from "../../../base/spec/oci/platform.ts";

/** A build as BuildKit's protocol orders it, from whichever of its messages. */
export interface SolveOrder {
  readonly ref: string;
  readonly frontend: string;
  /** Attributes of the Dockerfile frontend (frontend/dockerui of BuildKit). */
  readonly attrs: Readonly<Record<string, string>>;
  readonly exporters: readonly { readonly type: string; readonly attrs: Readonly<Record<string, string>> }[];
  readonly cacheImports: readonly CacheEntry[];
  readonly cacheExports: readonly CacheEntry[];
  readonly entitlements: readonly string[];
  /** Instead of a frontend: BuildKit's operations. */
  readonly definition?: Definition;
  /** What the frontend is given besides, by name. */
  readonly inputs?: Readonly<Record<string, Definition>>;
  /** How many frontends asked each other to come to this. */
  readonly depth?: number;
}

interface CacheEntry {
  readonly type: string;
  readonly attrs: Readonly<Record<string, string>>;
}

/** Frontends that are built in; Docker's own are the Dockerfile's language. */
export function foreignFrontend({ frontend, attrs }: SolveOrder): string | undefined {
  if (frontend !== "gateway.v0") return undefined;
  const source = attrs["source"] ?? "";
  return isBuiltIn(source) ? undefined : source;
}

/** Throws invalid-argument for what means nothing, not-implemented for frontends that are not ours. */
export function parseOrder(order: SolveOrder): BuildRequest {
  checkFrontend(order);
  const { attrs } = order;
  const buildArgs = prefixed(attrs, "build-arg:");
  const inputs = order.inputs ?? {};
  const context = mainContext(attrs, inputs);
  return {
    id: order.ref,
    context,
    dockerfileContext: dockerfileContext(attrs, context, inputs),
    dockerfile: attrs["filename"] ?? "",
    target: attrs["target"] ?? "",
    buildArgs,
    labels: prefixed(attrs, "label:"),
    platforms: list(attrs["platform"]).map((text) => parsePlatform(text, hostPlatform())),
    namedContexts: namedContexts(attrs, inputs),
    noCache: noCache(attrs["no-cache"]),
    pull: attrs["image-resolve-mode"] === "pull",
    network: network(attrs["force-network-mode"]),
    hosts: hosts(attrs["add-hosts"]),
    hostname: attrs["hostname"] ?? buildArgs["BUILDKIT_SANDBOX_HOSTNAME"] ?? "",
    shmSize: integer("shm-size", attrs["shm-size"]),
    ulimits: ulimits(attrs["ulimit"]),
    cgroupParent: attrs["cgroup-parent"] ?? "",
    resources: resources(attrs),
    entitlements: order.entitlements,
    cacheFrom: cacheImports(order).map(cacheRef),
    cacheTo: cacheExports(order, buildArgs).map(cacheRef),
    outputs: order.exporters.flatMap(output),
    attestations: attestations(attrs),
    vcs: prefixed(attrs, "vcs:"),
    squash: attrs["squash"] === undefined ? false : boolean("squash", attrs["squash"]),
    epoch: epoch(buildArgs["SOURCE_DATE_EPOCH"] ?? attrs["source-date-epoch"]),
    multiPlatform: multiPlatform(attrs["multi-platform"] ?? buildArgs["BUILDKIT_MULTI_PLATFORM"]),
    ...lint(buildArgs["BUILDKIT_DOCKERFILE_CHECK"]),
    ...(order.definition && { definition: order.definition }),
    ...(order.inputs && { inputs: order.inputs }),
  };
}

/** Dockerfiles name their frontend in a "syntax" line; Docker's own means the language, and that is built in here. */
function checkFrontend({ frontend, definition }: SolveOrder): void {
  if (frontend === "dockerfile.v0" || (frontend === "" && definition)) return;
  // Of images that are run the result comes here, of Docker's own the language.
  if (frontend === "gateway.v0") return;
  throw new TugError(
    "not-implemented",
    `unknown frontend ${JSON.stringify(frontend)}: this builder builds Dockerfiles (dockerfile.v0)`,
  );
}

function prefixed(attrs: Readonly<Record<string, string>>, prefix: string): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(attrs)) {
    if (name.startsWith(prefix) && name.length > prefix.length) out[name.slice(prefix.length)] = value;
  }
  return out;
}

const list = (text: string | undefined): readonly string[] =>
  (text ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");

type Inputs = Readonly<Record<string, Definition>>;

function mainContext(attrs: Readonly<Record<string, string>>, inputs: Inputs): ContextRef {
  const text = attrs["context"];
  const key = attrs["contextkey"] || "context";
  if (Object.hasOwn(inputs, key)) return { kind: "input", name: key };
  if (text === undefined || text === "") return { kind: "local", name: key };
  return remoteContext(text) ?? { kind: "local", name: text };
}

function remoteContext(text: string): ContextRef | undefined {
  if (parseGitRef(text)) return { kind: "git", url: text };
  return /^https?:\/\//.test(text) ? { kind: "http", url: text } : undefined;
}

/** Local contexts have their Dockerfile in a directory of its own; remote ones bring it along unless a directory is named for it. */
function dockerfileContext(
  attrs: Readonly<Record<string, string>>,
  context: ContextRef,
  inputs: Inputs,
): ContextRef | undefined {
  const key = attrs["dockerfilekey"];
  const name = key || "dockerfile";
  if (Object.hasOwn(inputs, name)) return { kind: "input", name };
  if (key === undefined && context.kind !== "local") return undefined;
  return { kind: "local", name };
}

function namedContexts(attrs: Readonly<Record<string, string>>, inputs: Inputs): Record<string, ContextRef> {
  const out: Record<string, ContextRef> = {};
  for (const [name, value] of Object.entries(prefixed(attrs, "context:")))
    out[name] = value.startsWith("input:")
      ? inputContext(name, value.slice("input:".length), attrs, inputs)
      : namedContext(name, value);
  return out;
}

/** What a client says of an input besides its operations: JSON of bytes by name, as a result's metadata has them. */
const inputMetadata = "input-metadata:";

function inputContext(
  context: string,
  name: string,
  attrs: Readonly<Record<string, string>>,
  inputs: Inputs,
): ContextRef {
  if (!Object.hasOwn(inputs, name))
    throw invalid(`invalid input ${JSON.stringify(name)} for ${JSON.stringify(context)}`);
  const text = attrs[`${inputMetadata}${name}`];
  if (text === undefined || text === "") return { kind: "input", name };
  let metadata: unknown;
  try {
    metadata = JSON.parse(text);
  } catch (cause) {
    throw invalid(`failed to parse the metadata of input ${JSON.stringify(name)}`, cause);
  }
  const fields = new Map(Object.entries(typeof metadata === "object" && metadata !== null ? metadata : {}));
  const config: unknown = fields.get("containerimage.config");
  if (typeof config !== "string") return { kind: "input", name };
  return { kind: "input", name, config: Buffer.from(config, "base64").toString() };
}

function namedContext(name: string, value: string): ContextRef {
  const colon = value.indexOf(":");
  const [kind, rest] = [value.slice(0, colon), value.slice(colon + 1)];
  if (kind === "local") return { kind: "local", name: rest };
  if (kind === "docker-image") return { kind: "image", reference: rest.replace(/^\/\//, "") };
  if (kind === "oci-layout") return ociLayout(rest.replace(/^\/\//, ""));
  const remote = remoteContext(value);
  if (!remote)
    throw invalid(`unsupported context source ${JSON.stringify(kind)} for ${JSON.stringify(name)}`);
  return remote;
}

/** "store@sha256:…": clients give the store a name without meaning and pin what they read from it. */
function ociLayout(text: string): ContextRef {
  const [store = ""] = text.split(/[@:]/, 1);
  return { kind: "oci-layout", store, reference: text };
}

function noCache(text: string | undefined): boolean | readonly string[] {
  if (text === undefined) return false;
  return text === "" ? true : list(text);
}

function network(text: string | undefined): BuildRequest["network"] {
  if (text === undefined || text === "" || text === "default" || text === "sandbox") return "default";
  if (text === "host" || text === "none") return text;
  throw invalid(`invalid network mode ${JSON.stringify(text)}: host, none or default`);
}

/** CSV of "host=address". */
function hosts(text: string | undefined): BuildRequest["hosts"] {
  return parseCsv(text ?? "").map((entry) => {
    const [host = "", address = ""] = splitOnce(entry, "=");
    if (host === "" || address === "") throw invalid(`invalid add-hosts entry ${JSON.stringify(entry)}`);
    return { host, address: address.replace(/^\[(.*)\]$/, "$1") };
  });
}

/** CSV of "nofile=soft:hard". */
function ulimits(text: string | undefined): BuildRequest["ulimits"] {
  return parseCsv(text ?? "").map((entry) => {
    const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(entry.trim());
    if (!match) throw invalid(`invalid ulimit ${JSON.stringify(entry)}: name=soft[:hard]`);
    const soft = Number(match[2]);
    return { name: match[1] ?? "", soft, hard: match[3] === undefined ? soft : Number(match[3]) };
  });
}

function integer(name: string, text: string | undefined): number {
  if (text === undefined || text === "") return 0;
  if (!/^\d{1,15}$/.test(text)) throw invalid(`invalid value for ${name}: ${JSON.stringify(text)}`);
  return Number(text);
}

/** Bounds of RUN steps: the frontend's names (frontend/dockerui of BuildKit since 0.27) and HostConfig's. */
const bounds: Readonly<Record<string, string>> = {
  memory: "Memory",
  memswap: "MemorySwap",
  cpushares: "CpuShares",
  cpuperiod: "CpuPeriod",
  cpuquota: "CpuQuota",
};

function resources(attrs: Readonly<Record<string, string>>): BuildRequest["resources"] {
  const out: Record<string, number | string> = {};
  for (const [name, member] of Object.entries(bounds)) {
    const text = attrs[name];
    if (text !== undefined) out[member] = text === "-1" ? -1 : integer(name, text);
  }
  if (attrs["cpusetcpus"]) out["CpusetCpus"] = attrs["cpusetcpus"];
  if (attrs["cpusetmems"]) out["CpusetMems"] = attrs["cpusetmems"];
  return out;
}

/** undefined also for the name of something that has a time: the builder looks there. */
function epoch(text: string | undefined): number | undefined {
  if (text === undefined || text === "" || /^[a-z]/i.test(text)) return undefined;
  if (!/^-?\d{1,12}$/.test(text)) throw invalid(`invalid SOURCE_DATE_EPOCH: ${text}`);
  return Number(text);
}

const splitOnce = (text: string, separator: string): readonly string[] => {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
};

function boolean(name: string, text: string): boolean {
  try {
    return parseBoolean(text);
  } catch (cause) {
    throw invalid(`invalid boolean value for ${name}: ${text}`, cause);
  }
}

const multiPlatform = (text: string | undefined) =>
  text === undefined || text === "" ? false : boolean("multi-platform", text);

/** "skip=RuleA,RuleB;error=true", "skip=all": what a "check" line of a Dockerfile says as well. */
function lint(text: string | undefined): Pick<BuildRequest, "skipLintRules" | "lintErrors"> {
  const skipLintRules: string[] = [];
  let lintErrors = false;
  for (const part of (text ?? "").split(";")) {
    const [key = "", value = ""] = splitOnce(part.trim(), "=");
    if (key === "skip") skipLintRules.push(...list(value));
    else if (key === "error") lintErrors = boolean("check error", value);
    else if (key !== "" && key !== "experimental")
      throw invalid(`invalid check option ${JSON.stringify(key)}`);
  }
  return { skipLintRules, lintErrors };
}

function attestations(attrs: Readonly<Record<string, string>>): Attestations {
  for (const name of Object.keys(attrs)) {
    const type = name.startsWith("attest:") ? name.slice("attest:".length).toLowerCase() : "";
    if (type !== "" && type !== "provenance" && type !== "sbom")
      throw invalid(`unknown attestation type ${JSON.stringify(type)}`);
  }
  const provenance = attestation(attrs["attest:provenance"]);
  const sbom = attestation(attrs["attest:sbom"]);
  return {
    provenance: provenance && provenanceOf(provenance),
    sbom: sbom && { generator: sbom["generator"] ?? "" },
  };
}

function provenanceOf(fields: Readonly<Record<string, string>>): ProvenanceOptions {
  const { mode, version, reproducible, filename } = fields;
  if (filename !== undefined && !/^(?!\.{1,2}$)[^\0]+$/.test(filename))
    throw invalid(`invalid filename ${JSON.stringify(filename)} of the provenance`);
  return {
    mode: provenanceMode(mode),
    ...(isNewPredicate(version) && { version: "v1" }),
    ...(fields["inline-only"] === "true" && { inlineOnly: true }),
    ...(fields["builder-id"] && { builderId: fields["builder-id"] }),
    ...(reproducible !== undefined && { reproducible: boolean("reproducible", reproducible) }),
    ...(filename !== undefined && { filename }),
  };
}

/** Everything, unless less was asked for (BuildKit, docs/attestations/slsa-provenance.md). */
function provenanceMode(text: string | undefined): "min" | "max" {
  if (text === undefined || text === "max" || text === "full") return "max";
  if (text === "min") return "min";
  throw invalid(`invalid mode ${JSON.stringify(text)}`);
}

function isNewPredicate(version: string | undefined): boolean {
  if (version !== undefined && version !== "v0.2" && version !== "v1")
    throw invalid(`invalid provenance SLSA version: ${version}`);
  return version === "v1";
}

/** CSV of "key=value"; false: not asked for, or taken away. */
function attestation(text: string | undefined): false | Readonly<Record<string, string>> {
  if (text === undefined || text === "false") return false;
  const fields: Record<string, string> = {};
  for (const part of parseCsv(text)) {
    const [key = "", value = ""] = splitOnce(part, "=");
    fields[key] = value;
  }
  const disabled = fields["disabled"];
  return disabled !== undefined && boolean("disabled", disabled) ? false : fields;
}

function cacheImports({ attrs, cacheImports: entries }: SolveOrder): readonly CacheEntry[] {
  const old = list(attrs["cache-from"]).map((ref) => ({ type: "registry", attrs: { ref } }));
  return [...entries, ...jsonEntries(attrs["cache-imports"]), ...old];
}

/** The frontend's attribute repeats what clients say in the request, as JSON: [{"Type": "registry", "Attrs": {"ref": …}}]. */
function jsonEntries(text: string | undefined): readonly CacheEntry[] {
  if (text === undefined || text === "") return [];
  const fail = (cause?: unknown) => invalid(`failed to parse cache-imports ${JSON.stringify(text)}`, cause);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw fail(cause);
  }
  if (!Array.isArray(parsed)) throw fail();
  return parsed.map((entry: unknown) => {
    if (typeof entry !== "object" || entry === null) throw fail();
    const fields = new Map(Object.entries(entry).map(([key, value]) => [key.toLowerCase(), value]));
    const type: unknown = fields.get("type");
    const attrs: unknown = fields.get("attrs") ?? {};
    if (typeof type !== "string" || typeof attrs !== "object" || attrs === null) throw fail();
    return { type, attrs: Object.fromEntries(Object.entries(attrs).map(([k, v]) => [k, String(v)])) };
  });
}

function cacheExports(
  { cacheExports: entries }: SolveOrder,
  buildArgs: Readonly<Record<string, string>>,
): readonly CacheEntry[] {
  const inline = buildArgs["BUILDKIT_INLINE_CACHE"];
  const asked = inline !== undefined && /^(?:1|t|true)$/i.test(inline);
  const known = entries.some(({ type }) => type === "inline");
  return asked && !known ? [...entries, { type: "inline", attrs: {} }] : entries;
}

function cacheRef({ type, attrs }: CacheEntry): CacheRef {
  if (type === "registry" || type === "local" || type === "inline") return { type, attributes: { ...attrs } };
  throw new TugError(
    "not-implemented",
    `unknown cache type ${JSON.stringify(type)}: this builder has registry, local and inline`,
  );
}

/** "moby" is what the docker driver calls an image of the daemon's own store. No exporter at all: the result stays in the cache. */
function output(exporter: SolveOrder["exporters"][number], index: number): readonly Output[] {
  const { type, attrs } = exporter;
  if (type === "" || type === "cacheonly") return [];
  const known = type === "moby" ? "image" : type;
  if (known !== "image" && known !== "docker" && known !== "oci" && known !== "local" && known !== "tar")
    throw new TugError("not-implemented", `exporter ${JSON.stringify(type)} could not be found`);
  return [{ id: String(index), type: known, attributes: { ...attrs } }];
}
