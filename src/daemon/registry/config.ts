import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { invalid, messageOf } from "../../base/lib/errors.ts";
import type { LogLevel } from "../../base/lib/log.ts";
import type { Action } from "../../registry/auth/access.ts";
import { parsePattern } from "../../registry/auth/pattern.ts";
import type { AccessRule, Rights } from "../../registry/auth/rights.ts";
import type { WebhookEndpoint } from "../../registry/events/webhooks.ts";
import type { GarbagePolicy } from "../../registry/garbage/collector.ts";
import type { QuotaRule } from "../../registry/quotas.ts";
import type { S3Settings } from "../../registry/storage/s3-storage.ts";
import type { DaemonAddress } from "../config/host.ts";
import { parseHost } from "../config/host.ts";
import type { OptionValues } from "../config/values.ts";
import type { RegistryOption } from "./options.ts";
import { Section } from "./section.ts";
import type { UpstreamConfig } from "./upstream.ts";

export interface ProxyRule extends UpstreamConfig {
  readonly prefix: string;
  readonly tagTtlMs: number;
  /** Milliseconds after which goes what nobody has asked for; undefined: never. */
  readonly keepMs: number | undefined;
}

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
    externalUrl: urlOf(from, "external-url"),
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

const actions: readonly Action[] = ["pull", "push", "delete"];

function rightsOf(from: Section, anonymousPull: boolean): Rights {
  const groups = from.section("groups");
  const members = new Map(groups.names().map((name) => [name, new Set(groups.texts(name))] as const));
  const given = from.sections("access").map((each) => ruleOf(each, members));
  const everything = [parsePattern("**")];
  const rule = (more: Partial<AccessRule>): AccessRule => ({
    users: new Set(),
    groups: new Set(),
    authenticated: false,
    anonymous: false,
    repositories: everything,
    actions: new Set(actions),
    ...more,
  });
  // Without rules whoever has logged in may do everything, as with any registry that has a password file.
  const rules = given.length > 0 ? [...given] : [rule({ authenticated: true })];
  if (anonymousPull) rules.push(rule({ anonymous: true, actions: new Set(["pull"]) }));
  return { rules, groups: members };
}

function ruleOf(from: Section, groups: ReadonlyMap<string, unknown>): AccessRule {
  const wanted = from.texts("actions");
  const wrong = wanted.find((each) => !actions.some((action) => action === each));
  if (wrong !== undefined || wanted.length === 0) {
    throw invalid(`${from.at("actions")}: expected some of ${actions.join(", ")}`);
  }
  const named = from.texts("groups");
  const unknown = named.find((each) => !groups.has(each));
  if (unknown !== undefined) throw invalid(`${from.at("groups")}: there is no group ${unknown}`);
  const patterns = from.texts("repositories");
  const rule: AccessRule = {
    users: new Set(from.texts("users")),
    groups: new Set(named),
    authenticated: from.flag("authenticated", false),
    anonymous: from.flag("anonymous", false),
    repositories: (patterns.length === 0 ? ["**"] : patterns).map(parsePattern),
    actions: new Set(actions.filter((each) => wanted.includes(each))),
  };
  from.end();
  if (rule.users.size + rule.groups.size === 0 && !rule.authenticated && !rule.anonymous) {
    throw invalid(
      `${from.at("users")}: the rule is for nobody: name users or groups, or set authenticated or anonymous`,
    );
  }
  return rule;
}

function s3Of(storage: Section, flag: unknown): S3Settings | undefined {
  const from = storage.section("s3");
  const given = typeof flag === "string" ? /^s3:\/\/([^/]+)(?:\/(.*))?$/.exec(flag) : undefined;
  if (given === null)
    throw invalid(`invalid value ${JSON.stringify(flag)} for --s3: expected s3://BUCKET[/PREFIX]`);
  const bucket = given?.[1] ?? from.text("bucket");
  const env = process.env;
  const settings = {
    endpoint: from.text("endpoint"),
    region: from.text("region") ?? env["AWS_REGION"],
    accessKeyId: from.text("access-key-id") ?? env["AWS_ACCESS_KEY_ID"],
    secretAccessKey: secretOf(from, "secret-access-key") ?? env["AWS_SECRET_ACCESS_KEY"],
    sessionToken: env["AWS_SESSION_TOKEN"],
    prefix: (given?.[2] ?? from.text("prefix") ?? "").replace(/\/*$/, (end) => end && "/"),
  };
  from.end();
  storage.end();
  if (bucket === undefined) {
    if (from.names().length > 0) throw invalid(`${from.at("bucket")} is missing`);
    return undefined;
  }
  const prefix =
    settings.prefix === "" || settings.prefix.endsWith("/") ? settings.prefix : `${settings.prefix}/`;
  return { ...settings, prefix, bucket };
}

/** A secret in the file itself, or in another one that `<key>-file` names. */
function secretOf(from: Section, key: string): string | undefined {
  const own = from.text(key);
  const path = from.text(`${key}-file`);
  if (path === undefined) return own;
  if (own !== undefined) throw invalid(`${from.at(key)} and ${key}-file exclude each other`);
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    throw invalid(`${from.at(`${key}-file`)}: ${messageOf(error)}`, error);
  }
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

function proxiesOf(from: Section, flags: readonly string[]): readonly ProxyRule[] {
  const fromFlags = flags.map((text) => {
    const match = /^(?:([^=]*)=)?(https?:\/\/.+)$/.exec(text);
    if (!match) throw invalid(`invalid value ${JSON.stringify(text)} for --proxy: expected [PREFIX=]URL`);
    return new Section({ prefix: match[1] ?? "", upstream: match[2] }, "--proxy");
  });
  const rules = [...from.sections("proxy"), ...fromFlags].map((each) => {
    const url = urlOf(each, "upstream");
    if (url === undefined) throw invalid(`${each.at("upstream")} is missing`);
    const { host, protocol } = new URL(url);
    const prefix = (each.text("prefix") ?? "").replace(/^\/+|\/+$/g, "");
    if (prefix !== "" && !/^[a-z0-9]+(?:[._/-][a-z0-9]+)*$/.test(prefix)) {
      throw invalid(`${each.at("prefix")}: expected the first part of repository names, or nothing`);
    }
    const rule: ProxyRule = {
      prefix,
      // Docker Hub's registry has another host than its images' names.
      domain: /(^|\.)docker\.io$/.test(host) ? "docker.io" : host,
      insecure: each.flag("insecure", protocol === "http:"),
      username: each.text("username"),
      password: secretOf(each, "password"),
      tagTtlMs: each.duration("tag-ttl", 60_000) ?? 0,
      keepMs: each.duration("keep", undefined),
    };
    each.end();
    return rule;
  });
  const twice = rules.find(
    (rule, index) => rules.findIndex((other) => other.prefix === rule.prefix) !== index,
  );
  if (twice)
    throw invalid(`${from.at("proxy")}: two upstreams have the prefix ${JSON.stringify(twice.prefix)}`);
  return rules;
}

function quotasOf(from: Section, flags: readonly string[]): readonly QuotaRule[] {
  const fromFlags = flags.map((text) => {
    const equals = text.lastIndexOf("=");
    if (equals < 1) throw invalid(`invalid value ${JSON.stringify(text)} for --quota: expected PATTERN=SIZE`);
    return new Section({ repositories: text.slice(0, equals), size: text.slice(equals + 1) }, "--quota");
  });
  return [...from.sections("quotas"), ...fromFlags].map((each) => {
    const per = each.text("per") ?? "all";
    if (per !== "all" && per !== "each") throw invalid(`${each.at("per")}: expected all or each`);
    const rule: QuotaRule = {
      pattern: parsePattern(each.required("repositories")),
      bytes: each.size("size"),
      per,
    };
    each.end();
    return rule;
  });
}

function webhooksOf(from: Section, flags: readonly string[]): readonly WebhookEndpoint[] {
  const known = ["push", "pull", "delete", "mount"] as const;
  const hooks = [...from.sections("webhooks"), ...flags.map((url) => new Section({ url }, "--webhook"))].map(
    (each) => {
      const url = urlOf(each, "url");
      if (url === undefined) throw invalid(`${each.at("url")} is missing`);
      const wanted = each.texts("actions");
      const wrong = wanted.find((action) => !known.some((one) => one === action));
      if (wrong !== undefined) throw invalid(`${each.at("actions")}: expected some of ${known.join(", ")}`);
      const hook: WebhookEndpoint = {
        name: each.text("name") ?? url,
        url,
        headers: each.textMap("headers"),
        actions: new Set(known.filter((action) => wanted.length === 0 || wanted.includes(action))),
        timeoutMs: each.duration("timeout", 10_000) ?? 10_000,
      };
      each.end();
      return hook;
    },
  );
  const twice = hooks.find((hook, index) => hooks.findIndex((other) => other.name === hook.name) !== index);
  if (twice)
    throw invalid(`${from.at("webhooks")}: two are named ${JSON.stringify(twice.name)}: give them names`);
  return hooks;
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

function urlOf(from: Section, key: string): string | undefined {
  const text = from.text(key);
  if (text === undefined || (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol))) return text;
  throw invalid(`${from.at(key)}: expected an http or https URL, got ${JSON.stringify(text)}`);
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
