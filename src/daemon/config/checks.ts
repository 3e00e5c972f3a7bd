import { invalid } from "../../base/lib/errors.ts";
import { parseIp, parsePrefix } from "../../base/lib/ip.ts";
import { readFrontendPolicy } from "../../build/frontend/allowed.ts";
import { readGcPolicy } from "../../build/solve/gc-policy.ts";
import type { CgroupDriver } from "../../core/runtime/cgroup-driver.ts";

/** dockerd's checks of single values, in its words. Each returns what it was given. */

export function ipcMode(value: string): string {
  const hint = 'use "shareable" or "private"';
  if (value === "private" || value === "shareable") return value;
  if (value === "host" || value === "none" || value.startsWith("container:"))
    throw invalid(`IPC mode "${value}" is not supported as default value; ${hint}`);
  throw invalid(`default IPC mode setting (${value}) is invalid; ${hint}`);
}

export function cgroupnsMode(value: string | undefined): string | undefined {
  if (value === undefined || value === "private" || value === "host") return value;
  throw invalid(`default cgroup namespace mode (${value}) is invalid; use "host" or "private"`);
}

/** "native.cgroupdriver=systemd"; like dockerd, options that are not its own are left alone. */
export function cgroupDriver(options: readonly string[]): CgroupDriver | undefined {
  for (const option of options) {
    const [key = "", value = ""] = option.split("=", 2).map((word) => word.trim());
    if (key.toLowerCase() !== "native.cgroupdriver" || value === "") continue;
    if (value === "cgroupfs" || value === "systemd") return value;
    throw invalid(`native.cgroupdriver option ${value} not supported`);
  }
  return undefined;
}

/** `what` as dockerd calls it: "max concurrent downloads". */
export function atLeast(least: number, what: string, value: number): number {
  if (value < least) throw invalid(`invalid ${what}: ${value}`);
  return value;
}

export function addresses(values: readonly string[]): readonly string[] {
  for (const value of values) if (!parseIp(value)) throw invalid(`${value} is not an ip address`);
  return values;
}

/** "base=10.0.0.0/8,size=24" */
export function addressPool(text: string): { readonly base: string; readonly size: number } {
  const fail = (why: string) =>
    invalid(`invalid argument ${JSON.stringify(text)} for "--default-address-pool" flag: ${why}`);
  const fields = new Map<string, string>();
  for (const part of text.split(",")) {
    const [key = "", value] = part.trim().split("=", 2);
    if (value === undefined) throw fail(`invalid field '${part}' must be a key=value pair`);
    if (key !== "base" && key !== "size") throw fail(`unexpected key '${key}' in '${part}'`);
    fields.set(key, value);
  }
  const base = fields.get("base") ?? "";
  const size = Number(fields.get("size"));
  const prefix = base.includes("/") ? parsePrefix(base) : undefined;
  if (!prefix) throw invalid(`invalid base pool ${JSON.stringify(base)}: invalid CIDR address: ${base}`);
  if (!Number.isInteger(size) || size < prefix.length || size > (prefix.family === 4 ? 32 : 128))
    throw invalid(`invalid pools size: ${fields.get("size") ?? ""}`);
  return { base, size };
}

export function mirrors(values: readonly string[]): readonly string[] {
  for (const value of values) {
    const quoted = JSON.stringify(value);
    if (!/^https?:\/\//i.test(value) || !URL.canParse(value))
      throw invalid(`invalid mirror: unsupported scheme ${JSON.stringify(schemeOf(value))} in ${quoted}`);
    const { pathname, search, hash, username } = new URL(value);
    if ((pathname !== "/" && pathname !== "") || search !== "" || hash !== "")
      throw invalid(`invalid mirror: path, query, or fragment at end of the URI ${quoted}`);
    if (username !== "") throw invalid(`invalid mirror: username/password not allowed in URI ${quoted}`);
  }
  return values;
}

const schemeOf = (text: string) => /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1] ?? "";

/** The same key twice with different values is refused. */
export function labels(values: readonly string[]): readonly string[] {
  const seen = new Map<string, string>();
  for (const label of values) {
    const [key = ""] = label.split("=", 1);
    if (key === "" || !label.includes("=")) throw invalid(`bad attribute format: ${label}`);
    const before = seen.get(key);
    if (before !== undefined && before !== label) throw invalid(`conflict labels for ${label} and ${before}`);
    seen.set(key, label);
  }
  return values;
}

/** "key=value" pairs of --storage-opt, for the snapshotter to judge. */
export function storageOptions(
  values: readonly string[],
): readonly (readonly [key: string, value: string])[] {
  return values.map((text) => {
    const at = text.indexOf("=");
    if (at < 0) throw invalid(`error initializing graphdriver: Unable to parse key/value option: ${text}`);
    return [text.slice(0, at).trim().toLowerCase(), text.slice(at + 1).trim()];
  });
}

/** `default-network-opts`: options of new networks, by driver. */
export function networkOptions(
  values: readonly string[],
): Readonly<Record<string, Readonly<Record<string, string>>>> {
  const byDriver: Record<string, Record<string, string>> = {};
  for (const text of values) {
    const [driver = "", name = "", ...value] = text.split("=");
    if (driver === "" || name === "" || value.length === 0)
      throw invalid(
        `invalid argument "${text}" for "--default-network-opt" flag: driver=option=value is needed`,
      );
    byDriver[driver] = { ...byDriver[driver], [name]: value.join("=") };
  }
  return byDriver;
}

/** Features that decide something here: the builder that clients are told of, and whether devices may come from CDI. */
export const knownFeatures: ReadonlySet<string> = new Set(["buildkit", "cdi"]);

/** `features`: names with true or false. */
export function features(map: Readonly<Record<string, unknown>>): Readonly<Record<string, boolean>> {
  return Object.fromEntries(
    Object.entries(map).map(([name, value]) => {
      if (value === true || value === "true" || value === "1") return [name, true];
      if (value === false || value === "false" || value === "0") return [name, false];
      throw invalid(`features: ${name}: true or false is needed, not ${JSON.stringify(value)}`);
    }),
  );
}

/** `builder`: whoever uses a member reads it, from the configuration as it is then. */
export function builderSettings(builder: unknown): unknown {
  readGcPolicy(builder, 0);
  readFrontendPolicy(builder);
  return builder;
}
