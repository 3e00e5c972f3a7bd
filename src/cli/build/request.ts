import { invalid, messageOf, TugError } from "../../base/lib/errors.ts";
import { formatPlatform, hostPlatform, parsePlatform } from "../../base/spec/oci/platform.ts";
import { type FrontendCall, readCall } from "./call.ts";
import {
  type CacheEntry,
  readAnnotations,
  readAttestations,
  readCaches,
  readEntitlements,
  readHosts,
  readNamedContexts,
} from "./entries.ts";
import type { BuildValues } from "./flags.ts";
import { type BuildOutput, readOutputs } from "./outputs.ts";
import { booleanOr, keyValues } from "./pairs.ts";
import type { ProgressMode } from "./progress/display.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** A build as flags, environment and configuration ask for it; the context is another matter (context.ts). */
export interface BuildOrder {
  /** The frontend's attributes but those of the context. */
  readonly attrs: Readonly<Record<string, string>>;
  readonly outputs: readonly BuildOutput[];
  readonly cacheFrom: readonly CacheEntry[];
  readonly cacheTo: readonly CacheEntry[];
  readonly entitlements: readonly string[];
  /** --build-context by name. */
  readonly namedContexts: Readonly<Record<string, string>>;
  readonly progress: ProgressMode;
  /** The image's id goes to standard output in the end. */
  readonly quiet: boolean;
  /** undefined: build. */
  readonly call: FrontendCall | undefined;
  /** For people, on standard error. */
  readonly notices: readonly string[];
}

interface OrderOptions {
  readonly values: BuildValues;
  readonly changed: ReadonlySet<string>;
  readonly env: Environment;
  /** "HTTP_PROXY=…" of config.json's proxies. */
  readonly proxies: readonly string[];
  readonly stdoutIsTerminal: boolean;
}

/** Throws what is wrong with the flags, in buildx's words. */
export function readOrder(options: OrderOptions): BuildOrder {
  const { values, env } = options;
  const buildArgs = allBuildArgs(options);
  const call = readCall(values.call, values.check);
  if (values["no-cache"] && values["no-cache-filter"].length > 0)
    throw invalid("--no-cache and --no-cache-filter cannot currently be used together");
  checkBuilder(values.builder || env["BUILDX_BUILDER"] || "");
  const outputs = readOutputs({
    outputs: values.output,
    push: values.push,
    load: values.load,
    tags: values.tag,
    annotations: annotations(values.annotation),
    stdoutIsTerminal: options.stdoutIsTerminal,
  });
  if (values.iidfile !== "" && outputs.some(({ type }) => type === "local" || type === "tar"))
    throw invalid("local and tar exporters are incompatible with image ID file");
  const inline = booleanOr(buildArgs["BUILDKIT_INLINE_CACHE"], false) ? [{ type: "inline", attrs: {} }] : [];
  return {
    attrs: { ...prefixed("build-arg:", buildArgs), ...frontend(buildArgs), ...flagAttrs(values, env) },
    outputs: call ? [] : outputs,
    cacheFrom: readCaches(values["cache-from"]),
    cacheTo: [...readCaches(values["cache-to"]), ...inline],
    entitlements: readEntitlements(values.allow, values.network),
    namedContexts: readNamedContexts(values["build-context"]),
    ...progress(values, env),
    call,
    notices: notices(options.changed),
  };
}

/** Proxies of the configuration count unless they are given; SOURCE_DATE_EPOCH of the environment too. */
function allBuildArgs({ values, env, proxies }: OrderOptions): Record<string, string> {
  const given = keyValues(values["build-arg"], (name) => env[name]);
  const known = new Set(Object.keys(given).map((name) => name.toLowerCase()));
  const epoch = env["SOURCE_DATE_EPOCH"];
  const own = keyValues(proxies, () => undefined);
  return {
    ...Object.fromEntries(Object.entries(own).filter(([name]) => !known.has(name.toLowerCase()))),
    ...(epoch && !Object.hasOwn(given, "SOURCE_DATE_EPOCH") ? { SOURCE_DATE_EPOCH: epoch } : {}),
    ...given,
  };
}

function prefixed(prefix: string, pairs: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(pairs).map(([name, value]) => [prefix + name, value]));
}

/** Build arguments that the client itself listens to. */
function frontend(buildArgs: Readonly<Record<string, string>>): Record<string, string> {
  const syntax = buildArgs["BUILDKIT_SYNTAX"];
  if (syntax?.trim() === "")
    throw invalid(
      "empty BUILDKIT_SYNTAX build-arg is invalid, use --build-arg BUILDKIT_SYNTAX without '=' for optional behavior",
    );
  return {
    ...(syntax === undefined ? {} : { source: syntax.trim().split(" ")[0] ?? "", cmdline: syntax }),
    ...(booleanOr(buildArgs["BUILDKIT_MULTI_PLATFORM"], false) ? { "multi-platform": "true" } : {}),
  };
}

function flagAttrs(values: BuildValues, env: Environment): Record<string, string> {
  const platforms = platformList(
    values.platform.length > 0 ? values.platform : [env["DOCKER_DEFAULT_PLATFORM"] ?? ""],
  );
  const numbers = {
    "shm-size": values["shm-size"],
    memory: values.memory,
    memswap: values["memory-swap"],
    cpushares: values["cpu-shares"],
    cpuperiod: values["cpu-period"],
    cpuquota: values["cpu-quota"],
  };
  const texts = {
    "cgroup-parent": values["cgroup-parent"],
    cpusetcpus: values["cpuset-cpus"],
    cpusetmems: values["cpuset-mems"],
    target: values.target,
    platform: platforms,
    "add-hosts": readHosts(values["add-host"].flatMap(hostEntries)),
    ulimit: values.ulimit.map(({ Name, Soft, Hard }) => `${Name}=${Soft}:${Hard}`).join(","),
    "force-network-mode": networkMode(values.network),
    "no-cache": values["no-cache-filter"].join(","),
  };
  return {
    ...prefixed(
      "label:",
      keyValues(values.label, () => ""),
    ),
    ...readAttestations(values.attest, values.provenance, values.sbom),
    ...Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== "")),
    ...Object.fromEntries(
      Object.entries(numbers).flatMap(([name, number]) => (number === 0 ? [] : [[name, String(number)]])),
    ),
    "image-resolve-mode": values.pull ? "pull" : "local",
    ...(values["no-cache"] ? { "no-cache": "" } : {}),
    ...(values.squash ? { squash: "true" } : {}),
  };
}

/** "a:1.2.3.4,b:5.6.7.8" are two, as for pflag's slices; "a=1.2.3.4,5.6.7.8" is one with two addresses. */
function hostEntries(text: string): readonly string[] {
  const entries: string[] = [];
  for (const part of text.split(",")) {
    const last = entries.length - 1;
    if (last >= 0 && !/^[^=:]+[=:]/.test(part)) entries[last] += `,${part}`;
    else entries.push(part);
  }
  return entries;
}

function platformList(texts: readonly string[]): string {
  const all = texts.flatMap((text) => text.split(",")).filter((text) => text.trim() !== "");
  return all
    .map((text) => (text.trim() === "local" ? hostPlatform() : parsePlatform(text.trim(), hostPlatform())))
    .map(formatPlatform)
    .filter((text, index, list) => list.indexOf(text) === index)
    .join(",");
}

function networkMode(text: string): string {
  if (text === "" || text === "default") return "";
  if (text === "host" || text === "none") return text;
  throw invalid(
    `network mode ${JSON.stringify(text)} not supported by buildkit - RUN steps have the network default, host or none`,
  );
}

function annotations(values: readonly string[]): Record<string, string> {
  try {
    return readAnnotations(values);
  } catch (cause) {
    throw invalid(`parse annotations: ${messageOf(cause)}`, cause);
  }
}

/** Builders of buildx are containers or machines of their own; here the daemon is the only one. */
function checkBuilder(name: string): void {
  if (name !== "" && name !== "default" && name !== "tug")
    throw new TugError("not-found", `no builder ${JSON.stringify(name)} found`);
}

const modes: readonly ProgressMode[] = ["auto", "tty", "plain", "quiet", "rawjson", "none"];

function progress(values: BuildValues, env: Environment): Pick<BuildOrder, "progress" | "quiet"> {
  const asked = values.progress === "auto" ? env["BUILDKIT_PROGRESS"] || "auto" : values.progress;
  const mode = modes.find((known) => known === asked);
  if (mode === undefined) throw invalid(`invalid progress mode ${asked}`);
  const quiet = values.quiet || mode === "quiet";
  if (quiet && values.progress !== "auto" && values.progress !== "quiet")
    throw invalid(`progress=${values.progress} and quiet cannot be used together`);
  return { progress: quiet ? "quiet" : mode, quiet };
}

const warned: Readonly<Record<string, string>> = {
  isolation: "isolation flag is deprecated with BuildKit.",
  "security-opt": 'security-opt flag is deprecated. "RUN --security=insecure" should be used with BuildKit.',
};

const notices = (changed: ReadonlySet<string>) =>
  Object.entries(warned).flatMap(([flag, text]) => (changed.has(flag) ? [`WARNING: ${text}`] : []));
