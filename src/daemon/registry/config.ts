import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { invalid, messageOf } from "../../base/lib/errors.ts";
import type { LogLevel } from "../../base/lib/log.ts";
import type { Rights } from "../../registry/auth/rights.ts";
import type { WebhookEndpoint } from "../../registry/events/webhooks.ts";
import type { GarbagePolicy } from "../../registry/garbage/collector.ts";
import type { QuotaRule } from "../../registry/quotas.ts";
import type { S3Settings } from "../../registry/storage/s3-storage.ts";
import type { DaemonAddress } from "../config/host.ts";
import { parseHost } from "../config/host.ts";
import type { OptionValues } from "../config/values.ts";
import { rightsOf } from "./access-config.ts";
import type { RegistryOption } from "./options.ts";
import { type ProxyRule, proxiesOf, quotasOf, webhooksOf } from "./rules-config.ts";
import { Section } from "./section.ts";
import { s3Of } from "./storage-config.ts";

export interface TokenAuth {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  readonly keyFiles: readonly string[];
}

/** The registry's configuration, decided: file, flags and defaults as one readonly value. */
export interface RegistryConfig {
  readonly root: string;
  readonly listen: readonly DaemonAddress[];
  readonly externalUrl: string | undefined;
  readonly logLevel: LogLevel;
  readonly tls:
    | { readonly cert: string; readonly key: string; readonly clientCa: string | undefined }
    | undefined;
  readonly htpasswd: string | undefined;
  readonly token: TokenAuth | undefined;
  readonly rights: Rights;
  readonly s3: S3Settings | undefined;
  readonly readOnly: boolean;
  readonly deleteEnabled: boolean;
  readonly pages: boolean;
  readonly metricsListen: DaemonAddress | undefined;
  readonly garbage: Omit<GarbagePolicy, "unused"> & { readonly intervalMs: number | undefined };
  readonly proxies: readonly ProxyRule[];
  readonly quotas: readonly QuotaRule[];
  readonly webhooks: readonly WebhookEndpoint[];
  readonly limits: {
    readonly connections: number;
    readonly headSeconds: number;
    readonly idleSeconds: number;
    readonly stallMs: number;
  };
}

/** Reads the file that `--config` names and puts the flags over it. Throws invalid-argument with the place of the mistake. */
export function loadRegistryConfig(flags: OptionValues, options: readonly RegistryOption[]): RegistryConfig {
  const path = flags.get("config");
  const file = typeof path === "string" ? readFile(path) : {};
  const merged = withFlags(file, flags, options);
  return decode(new Section(merged, typeof path === "string" ? path : "configuration"), flags);
}

function readFile(path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = Bun.YAML.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw invalid(`cannot read the configuration file ${path}: ${messageOf(error)}`, error);
  }
  if (value === null || value === undefined) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw invalid(`${path}: expected names with values`);
  return value as Record<string, unknown>;
}

/** A copy of the file's values in which each flag has taken its place. */
function withFlags(
  file: Record<string, unknown>,
  flags: OptionValues,
  options: readonly RegistryOption[],
): Record<string, unknown> {
  const merged = structuredClone(file);
  for (const { flag, path } of options) {
    const value = flags.get(flag);
    if (value === undefined || !path) continue;
    let at = merged;
    for (const name of path.slice(0, -1)) {
      const next = at[name];
      const below = typeof next === "object" && next !== null && !Array.isArray(next) ? next : {};
      at[name] = below;
      at = below as Record<string, unknown>;
    }
    at[path.at(-1) ?? ""] = value;
  }
  return merged;
}

function decode(from: Section, flags: OptionValues): RegistryConfig {
  const tls = tlsOf(from.section("tls"));
  const auth = from.section("auth");
  const token = auth.has("token") ? tokenOf(auth.section("token")) : undefined;
  const htpasswd = auth.text("htpasswd");
  auth.end();
  if (token && htpasswd !== undefined)
    throw invalid(`${from.at("auth")}: htpasswd and token exclude each other`);
  const metrics = from.section("metrics");
  const config: RegistryConfig = {
    root: resolve(from.text("root") ?? "/var/lib/tug-registry"),
    listen: addresses(from.texts("listen"), from.at("listen")),
    externalUrl: from.url("external-url"),
    logLevel: levelOf(from),
    tls,
    htpasswd,
    token,
    rights: rightsOf(from, flags.get("anonymous-pull") === true),
    s3: s3Of(from.section("storage"), flags.get("s3")),
    readOnly: from.flag("read-only", false),
    deleteEnabled: from.flag("delete", true) && flags.get("no-delete") !== true,
    pages: from.flag("pages", true) && flags.get("no-pages") !== true,
    metricsListen: metrics.has("listen")
      ? addresses([metrics.required("listen")], metrics.at("listen"))[0]
      : undefined,
    garbage: garbageOf(from.section("garbage")),
    proxies: proxiesOf(from, listOf(flags, "proxy")),
    quotas: quotasOf(from, listOf(flags, "quota")),
    webhooks: webhooksOf(from, listOf(flags, "webhook")),
    limits: limitsOf(from.section("limits")),
  };
  metrics.end();
  from.end();
  const guarded = htpasswd !== undefined || token !== undefined;
  if (!guarded && (from.has("access") || flags.get("anonymous-pull") === true)) {
    throw invalid("access rules need auth.htpasswd (--htpasswd): without it nobody has a name");
  }
  if (token && from.has("access"))
    throw invalid("access rules have no effect with tokens, which name the rights themselves");
  return config;
}

function tlsOf(from: Section): RegistryConfig["tls"] {
  const [cert, key, clientCa] = [from.text("certificate"), from.text("key"), from.text("client-ca")];
  from.end();
  if (cert === undefined && key === undefined && clientCa === undefined) return undefined;
  if (cert === undefined || key === undefined)
    throw invalid("TLS needs both a certificate (--tls-cert) and its key (--tls-key)");
  return { cert, key, clientCa };
}

function tokenOf(from: Section): TokenAuth {
  const token = {
    realm: from.required("realm"),
    service: from.required("service"),
    issuer: from.required("issuer"),
    keyFiles: from.texts("keys"),
  };
  from.end();
  if (token.keyFiles.length === 0)
    throw invalid(`${from.at("keys")} is missing: the public keys that tokens are checked with`);
  return token;
}

function garbageOf(from: Section): RegistryConfig["garbage"] {
  const hour = 3_600_000;
  const garbage = {
    intervalMs: from.duration("interval", hour),
    graceMs: from.duration("grace", 24 * hour) ?? 0,
    untaggedAfterMs: from.duration("untagged-after", undefined),
    uploadAfterMs: from.duration("upload-after", 7 * 24 * hour) ?? 7 * 24 * hour,
  };
  from.end();
  return garbage;
}

function limitsOf(from: Section): RegistryConfig["limits"] {
  const seconds = (key: string, otherwise: number) => {
    const ms = from.duration(key, otherwise * 1000) ?? 0;
    if (ms > 240_000) throw invalid(`${from.at(key)}: at most 240s`);
    return Math.ceil(ms / 1000);
  };
  const limits = {
    connections: from.count("connections", 10_000),
    headSeconds: seconds("head-timeout", 20),
    idleSeconds: seconds("idle-timeout", 120),
    stallMs: from.duration("stall-timeout", 60_000) ?? 60_000,
  };
  from.end();
  return limits;
}

function addresses(texts: readonly string[], where: string): readonly DaemonAddress[] {
  return (texts.length === 0 ? [":5000"] : texts).map((text) => {
    // Only a port means every address here: a registry is for others.
    const whole = /^\d+$/.test(text) ? `0.0.0.0:${text}` : text.startsWith(":") ? `0.0.0.0${text}` : text;
    const address = parseHost(whole, { tls: false, execRoot: "/run" });
    if (address.kind !== "fd") return address;
    throw invalid(`${where}: expected [HOST]:PORT or unix:///PATH, got ${JSON.stringify(text)}`);
  });
}

function levelOf(from: Section): LogLevel {
  const text = from.text("log-level") ?? "info";
  const levels: readonly LogLevel[] = ["debug", "info", "warn", "error", "fatal"];
  const level = levels.find((each) => each === text);
  if (level) return level;
  throw invalid(`${from.at("log-level")}: expected one of ${levels.join(", ")}`);
}

function listOf(flags: OptionValues, name: string): readonly string[] {
  const value = flags.get(name);
  return Array.isArray(value) ? (value as readonly string[]) : [];
}
