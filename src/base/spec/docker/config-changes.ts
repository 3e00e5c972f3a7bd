import { invalid } from "../../lib/errors.ts";
import type { ImageRunConfig } from "../oci/image.ts";

/**
 * `--change` of commit and import: single Dockerfile instructions that alter an image's configuration. Only those that change nothing but the
 * configuration are taken, as in Docker.
 */
export function applyConfigChanges(config: ImageRunConfig, changes: readonly string[]): ImageRunConfig {
  let result = config;
  let commandSet = false;
  if (changes.length > 0 && changes.every((change) => change.trim() === "")) {
    throw invalid("file with no instructions");
  }
  for (const change of changes) {
    for (const line of change.split("\n")) {
      const text = line.trim();
      if (text === "" || text.startsWith("#")) continue;
      result = applyOne(result, text);
      if (/^cmd\b/i.test(text)) commandSet = true;
      // The command that was there were arguments of another entrypoint (Dockerfile reference, "ENTRYPOINT").
      if (/^entrypoint\b/i.test(text) && !commandSet) result = { ...result, Cmd: null };
    }
  }
  return result;
}

function applyOne(config: ImageRunConfig, text: string): ImageRunConfig {
  const match = /^([a-zA-Z]+)(?:\s+(.*))?$/s.exec(text);
  const word = (match?.[1] ?? text).toUpperCase();
  const rest = (match?.[2] ?? "").trim();
  const needed = () => {
    if (rest === "") throw invalid(`${word} requires at least one argument`);
    return rest;
  };
  switch (word) {
    case "CMD":
      return { ...config, Cmd: command(rest) };
    case "ENTRYPOINT":
      return { ...config, Entrypoint: command(rest) };
    case "ENV":
      return { ...config, Env: mergeEnv(config.Env ?? [], pairs("ENV", needed())) };
    case "EXPOSE":
      return { ...config, ExposedPorts: { ...config.ExposedPorts, ...keys(words(needed()).flatMap(ports)) } };
    case "LABEL":
      return { ...config, Labels: { ...config.Labels, ...Object.fromEntries(pairs("LABEL", needed())) } };
    case "ONBUILD":
      return { ...config, OnBuild: [...(config.OnBuild ?? []), onBuild(needed())] };
    case "USER":
      return { ...config, User: only(word, needed()) };
    case "VOLUME":
      return { ...config, Volumes: { ...config.Volumes, ...keys(jsonList(needed()) ?? words(rest)) } };
    case "WORKDIR":
      return { ...config, WorkingDir: workdir(config.WorkingDir ?? "", only(word, needed())) };
    case "STOPSIGNAL":
      return { ...config, StopSignal: only(word, needed()) };
    case "HEALTHCHECK":
      return { ...config, Healthcheck: healthcheck(needed()) };
    case "SHELL": {
      const shell = jsonList(needed());
      if (!shell) throw invalid("SHELL requires the arguments to be in JSON form");
      return { ...config, Shell: shell };
    }
    default:
      throw invalid(`${word.toLowerCase()} is not a valid change command`);
  }
}

/** JSON form as it is, shell form through /bin/sh. */
function command(text: string): readonly string[] {
  if (text === "") return [];
  return jsonList(text) ?? ["/bin/sh", "-c", text];
}

function jsonList(text: string): readonly string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((one) => typeof one === "string") ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Words at blanks, with quotes and backslashes taken off. */
function words(text: string): readonly string[] {
  const found = text.match(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/gs) ?? [];
  return found.map((word) =>
    word.replace(
      /"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/gs,
      (_, double?: string, single?: string, escaped?: string) =>
        double !== undefined ? double.replace(/\\(["\\$])/g, "$1") : (single ?? escaped ?? ""),
    ),
  );
}

/** "a=1 b=2", or the old form "a the rest". */
function pairs(instruction: string, text: string): readonly (readonly [string, string])[] {
  const [first = "", ...others] = words(text);
  if (!first.includes("=")) {
    if (others.length === 0) throw invalid(`${instruction} must have two arguments`);
    return [[first, text.slice(text.search(/\s/)).trim()]];
  }
  return [first, ...others].map((word) => {
    const at = word.indexOf("=");
    if (at < 0) {
      throw invalid(
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      );
    }
    if (at === 0) throw invalid(`${instruction} names can not be blank`);
    return [word.slice(0, at), word.slice(at + 1)] as const;
  });
}

function mergeEnv(env: readonly string[], added: readonly (readonly [string, string])[]): readonly string[] {
  const merged = new Map(env.map((entry) => [entry.split("=", 1)[0] ?? entry, entry]));
  for (const [name, value] of added) merged.set(name, `${name}=${value}`);
  return [...merged.values()];
}

/** "80", "80/udp", "8000-8002/tcp". */
function ports(text: string): readonly string[] {
  const match = /^(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/i.exec(text);
  const from = Number(match?.[1]);
  const to = match?.[2] === undefined ? from : Number(match[2]);
  if (!match || to < from || to > 65535) throw invalid(`invalid containerPort: ${text}`);
  const protocol = (match[3] ?? "tcp").toLowerCase();
  return Array.from({ length: to - from + 1 }, (_, i) => `${from + i}/${protocol}`);
}

function keys(names: readonly string[]): Record<string, Record<string, never>> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}

function only(instruction: string, text: string): string {
  const list = words(text);
  if (list.length !== 1 || list[0] === undefined)
    throw invalid(`${instruction} requires exactly one argument`);
  return list[0];
}

function onBuild(text: string): string {
  const word = (text.split(/\s/, 1)[0] ?? "").toUpperCase();
  if (word === "ONBUILD") throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (word === "FROM" || word === "MAINTAINER") throw invalid(`${word} isn't allowed as an ONBUILD trigger`);
  return text;
}

function workdir(current: string, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${current}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

const healthUnits: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 6e10, h: 3.6e12 };

function healthcheck(text: string): NonNullable<ImageRunConfig["Healthcheck"]> {
  if (text.toUpperCase() === "NONE") return { Test: ["NONE"] };
  let rest = text;
  const flags: Record<string, string> = {};
  for (let match = /^--([a-z-]+)=(\S+)\s+/.exec(rest); match; match = /^--([a-z-]+)=(\S+)\s+/.exec(rest)) {
    flags[match[1] ?? ""] = match[2] ?? "";
    rest = rest.slice(match[0].length);
  }
  const cmd = /^CMD\s+(.+)$/is.exec(rest)?.[1]?.trim();
  if (cmd === undefined)
    throw invalid(
      `Unknown type ${JSON.stringify(rest.split(/\s/, 1)[0]?.toUpperCase())} in HEALTHCHECK (try CMD)`,
    );
  const list = jsonList(cmd);
  const duration = (flag: string) => {
    const value = flags[flag];
    if (value === undefined) return undefined;
    if (!/^(?:\d+(?:\.\d+)?(?:ns|us|ms|s|m|h))+$/.test(value))
      throw invalid(`invalid duration ${JSON.stringify(value)}`);
    return [...value.matchAll(/(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)/g)].reduce(
      (sum, part) => sum + Number(part[1]) * (healthUnits[part[2] ?? "s"] ?? 0),
      0,
    );
  };
  const [interval, timeout, start, startInterval] = [
    "interval",
    "timeout",
    "start-period",
    "start-interval",
  ].map(duration);
  return {
    Test: list ? ["CMD", ...list] : ["CMD-SHELL", cmd],
    ...(interval === undefined ? {} : { Interval: interval }),
    ...(timeout === undefined ? {} : { Timeout: timeout }),
    ...(start === undefined ? {} : { StartPeriod: start }),
    ...(startInterval === undefined ? {} : { StartInterval: startInterval }),
    ...(flags["retries"] === undefined ? {} : { Retries: Number(flags["retries"]) }),
  };
}
