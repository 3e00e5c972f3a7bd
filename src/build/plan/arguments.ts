import { located } from "../../base/spec/dockerfile/error.ts";
import type { ArgInstruction, Dockerfile } from "../../base/spec/dockerfile/syntax.ts";
import { expand } from "../../base/spec/dockerfile/words.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import { formatPlatform } from "../../base/spec/oci/platform.ts";

export type Values = Readonly<Record<string, string>>;

/** What was asked for under a name, whatever the name: a build argument's value, a named context. */
export function given<T>(values: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(values, name) ? values[name] : undefined;
}

/** Arguments that are there before any ARG: platforms and the target's name (Dockerfile reference, "automatic platform ARGs"). */
export function predefinedArgs(
  build: Platform,
  target: Platform,
  stage: string,
  overrides: Values,
): Map<string, string> {
  const values: readonly (readonly [string, string])[] = [
    ["BUILDPLATFORM", formatPlatform(build)],
    ["BUILDOS", build.os],
    ["BUILDOSVERSION", build["os.version"] ?? ""],
    ["BUILDARCH", build.architecture],
    ["BUILDVARIANT", build.variant ?? ""],
    ["TARGETPLATFORM", formatPlatform(target)],
    ["TARGETOS", target.os],
    ["TARGETOSVERSION", target["os.version"] ?? ""],
    ["TARGETARCH", target.architecture],
    ["TARGETVARIANT", target.variant ?? ""],
    ["TARGETSTAGE", stage || "default"],
  ];
  return new Map(values.map(([name, value]) => [name, given(overrides, name) ?? value]));
}

/** An argument as `--call outline` tells of it. */
export interface ArgumentInfo {
  readonly name: string;
  readonly value: string;
  readonly from: ArgInstruction;
  /** Arguments that its default was made of. */
  readonly uses: ReadonlySet<string>;
}

/** ARG before the first FROM, on top of what is predefined. */
export function globalArgs(
  file: Dockerfile,
  predefined: ReadonlyMap<string, string>,
  values: Values,
): { readonly variables: Map<string, string>; readonly infos: Map<string, ArgumentInfo> } {
  const variables = new Map(predefined);
  const infos = new Map<string, ArgumentInfo>();
  for (const from of file.globalArgs) {
    for (const { name, value: written } of from.args) {
      const asked = given(values, name);
      const made =
        asked !== undefined || written === undefined
          ? undefined
          : located(from.range, () => expand(written, variables, { escape: file.escape }));
      const value = asked ?? made?.text;
      if (value !== undefined) setLast(variables, name, value);
      const uses = new Set(made?.matched ?? []);
      if (uses.delete(name)) for (const use of infos.get(name)?.uses ?? []) uses.add(use);
      infos.set(name, { name, value: value ?? "", from, uses });
    }
  }
  return { variables, infos };
}

/** The order of an environment is that in which its members were last set. */
export function setLast(variables: Map<string, string>, name: string, value: string): void {
  variables.delete(name);
  variables.set(name, value);
}

const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/** Proxies given as build arguments: every RUN has them, in both spellings, and no cache key or history. */
export function proxyEnvironment(values: Values): readonly string[] {
  return proxies.flatMap((name) => {
    const key = Object.keys(values)
      .sort()
      .findLast((one) => one.toUpperCase() === name);
    const value = key === undefined ? undefined : values[key];
    return value ? [`${name}=${value}`, `${name.toLowerCase()}=${value}`] : [];
  });
}
