import { invalid } from "../../lib/errors.ts";
import { cleanPath } from "../dockerfile/ignore.ts";
import { parseInstruction } from "../dockerfile/instructions.ts";
import { readNodes } from "../dockerfile/nodes.ts";
import { parseExposed } from "../dockerfile/ports.ts";
import type { CommandLine, EscapeToken, Health, Instruction } from "../dockerfile/syntax.ts";
import { expand } from "../dockerfile/words.ts";
import type { ImageRunConfig } from "../oci/image.ts";

/**
 * `--change` of commit and import: single Dockerfile instructions that alter an image's configuration. Only those that change nothing but the
 * configuration are taken, as in Docker.
 */
export function applyConfigChanges(config: ImageRunConfig, changes: readonly string[]): ImageRunConfig {
  if (changes.length === 0) return config;
  const file = readNodes(changes.join("\n"));
  let result = config;
  let commandSet = false;
  for (const node of file.nodes) {
    const name = node.keyword.toUpperCase();
    if (!allowed.has(name)) throw invalid(`${node.keyword.toLowerCase()} is not a valid change command`);
    const instruction = parseInstruction(node);
    result = applyOne(result, instruction, file.escape);
    if (instruction.kind === "CMD") commandSet = true;
    // The command that was there were arguments of another entrypoint (Dockerfile reference, "ENTRYPOINT").
    if (instruction.kind === "ENTRYPOINT" && !commandSet) result = { ...result, Cmd: null };
  }
  return result;
}

const allowed: ReadonlySet<string> = new Set([
  ...["CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "SHELL", "STOPSIGNAL", "USER"],
  ...["VOLUME", "WORKDIR"],
]);

function applyOne(config: ImageRunConfig, node: Instruction, escapeToken: EscapeToken): ImageRunConfig {
  const env = new Map((config.Env ?? []).map((entry) => splitEntry(entry)));
  const expansion = (text: string) => expand(text, env, { escape: escapeToken });
  const word = (text: string) => expansion(text).text;
  switch (node.kind) {
    case "CMD":
      return { ...config, Cmd: command(config, node.command) };
    case "ENTRYPOINT":
      return { ...config, Entrypoint: command(config, node.command) };
    case "ENV": {
      const pairs = node.pairs.map(({ key, value }) => [word(key), word(value)] as const);
      return { ...config, Env: mergeEnv(config.Env ?? [], pairs) };
    }
    case "LABEL": {
      const pairs = node.pairs.map(({ key, value }) => [word(key), word(value)] as const);
      return { ...config, Labels: { ...config.Labels, ...Object.fromEntries(pairs) } };
    }
    case "EXPOSE": {
      const ports = node.values.flatMap((value) => expansion(value).words).map(parseExposed);
      return {
        ...config,
        ExposedPorts: { ...config.ExposedPorts, ...keys(ports.flatMap((one) => one.ports)) },
      };
    }
    case "VOLUME":
      return { ...config, Volumes: { ...config.Volumes, ...keys(node.values.map(word)) } };
    case "ONBUILD":
      return { ...config, OnBuild: [...(config.OnBuild ?? []), node.trigger] };
    case "USER":
      return { ...config, User: word(node.value) };
    case "STOPSIGNAL":
      return { ...config, StopSignal: word(node.value) };
    case "WORKDIR": {
      const path = word(node.value);
      const from = path.startsWith("/") ? "" : `/${config.WorkingDir ?? ""}/`;
      return { ...config, WorkingDir: cleanPath(from + path) };
    }
    case "HEALTHCHECK":
      return { ...config, Healthcheck: healthcheckOf(node.health) };
    case "SHELL":
      return { ...config, Shell: node.values };
    default:
      return config;
  }
}

/** An image's health check: what was not said is not in it. */
export function healthcheckOf(health: Health): NonNullable<ImageRunConfig["Healthcheck"]> {
  const { test, interval, timeout, startPeriod, startInterval, retries } = health;
  return {
    Test: test,
    ...(interval > 0 && { Interval: interval }),
    ...(timeout > 0 && { Timeout: timeout }),
    ...(startPeriod > 0 && { StartPeriod: startPeriod }),
    ...(startInterval > 0 && { StartInterval: startInterval }),
    ...(retries > 0 && { Retries: retries }),
  };
}

/** JSON form as it is, shell form through the image's shell. */
function command(config: ImageRunConfig, line: CommandLine): readonly string[] {
  if (!line.shell || line.args.length === 0) return line.args;
  return [...(config.Shell?.length ? config.Shell : ["/bin/sh", "-c"]), line.args.join(" ")];
}

function splitEntry(entry: string): readonly [string, string] {
  const at = entry.indexOf("=");
  return at < 0 ? [entry, ""] : [entry.slice(0, at), entry.slice(at + 1)];
}

function mergeEnv(env: readonly string[], added: readonly (readonly [string, string])[]): readonly string[] {
  const merged = new Map(env.map((entry) => [splitEntry(entry)[0], entry]));
  for (const [name, value] of added) merged.set(name, `${name}=${value}`);
  return [...merged.values()];
}

function keys(names: readonly string[]): Record<string, Record<string, never>> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}
