import { invalid } from "../../base/lib/errors.ts";
import { parsePattern } from "../../registry/auth/pattern.ts";
import type { WebhookEndpoint } from "../../registry/events/webhooks.ts";
import type { QuotaRule } from "../../registry/quotas.ts";
import { Section } from "./section.ts";
import type { UpstreamConfig } from "./upstream.ts";

export interface ProxyRule extends UpstreamConfig {
  readonly prefix: string;
  readonly tagTtlMs: number;
  /** Milliseconds after which goes what nobody has asked for; undefined: never. */
  readonly keepMs: number | undefined;
}

/** Upstreams of the cache, from the file and from --proxy. */
export function proxiesOf(from: Section, flags: readonly string[]): readonly ProxyRule[] {
  const fromFlags = flags.map((text) => {
    const match = /^(?:([^=]*)=)?(https?:\/\/.+)$/.exec(text);
    if (!match) throw invalid(`invalid value ${JSON.stringify(text)} for --proxy: expected [PREFIX=]URL`);
    return new Section({ prefix: match[1] ?? "", upstream: match[2] }, "--proxy");
  });
  const rules = [...from.sections("proxy"), ...fromFlags].map((each) => {
    const url = each.url("upstream");
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
      password: each.secret("password"),
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

/** Quotas, from the file and from --quota. */
export function quotasOf(from: Section, flags: readonly string[]): readonly QuotaRule[] {
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

/** Webhooks, from the file and from --webhook. */
export function webhooksOf(from: Section, flags: readonly string[]): readonly WebhookEndpoint[] {
  const known = ["push", "pull", "delete", "mount"] as const;
  const hooks = [...from.sections("webhooks"), ...flags.map((url) => new Section({ url }, "--webhook"))].map(
    (each) => {
      const url = each.url("url");
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
