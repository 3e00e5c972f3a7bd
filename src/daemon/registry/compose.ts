import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Exchange } from "../../base/http/exchange.ts";
import type { Clock } from "../../base/lib/clock.ts";
import type { Log } from "../../base/lib/log.ts";
import { FileContentStore } from "../../core/content/file-store.ts";
import { type Authenticator, openAccess } from "../../registry/auth/access.ts";
import {
  basicAuthenticator,
  bearerAuthenticator,
  issuingAuthenticator,
} from "../../registry/auth/authenticators.ts";
import { Htpasswd } from "../../registry/auth/htpasswd.ts";
import { parseTokenKeys } from "../../registry/auth/jwt.ts";
import { openRegistry, type Registry } from "../../registry/registry.ts";
import type { TokenIssuer } from "../../registry/routes/token.ts";
import { fileStorage } from "../../registry/storage/file-storage.ts";
import { S3Storage } from "../../registry/storage/s3-storage.ts";
import type { RegistryConfig } from "./config.ts";
import { registryUpstream } from "./upstream.ts";

/** Name under which the registry gives itself tokens. */
const ownService = "tug-registry";

/** Puts the registry together from its configuration: storage, who may come in, upstreams. The root must be ours alone. */
export function composeRegistry(
  config: RegistryConfig,
  deps: { readonly clock: Clock; readonly log: Log },
): Registry {
  const { clock, log } = deps;
  mkdirSync(config.root, { recursive: true, mode: 0o700 });
  const content = new FileContentStore({ root: join(config.root, config.s3 ? "staging" : "content") });
  return openRegistry({
    root: config.root,
    storage: config.s3 ? new S3Storage(content, config.s3) : fileStorage(content),
    ...accessOf(config, clock, log),
    quotas: config.quotas,
    cached: config.proxies.map((rule) => ({
      prefix: rule.prefix,
      host: rule.domain,
      tagTtlMs: rule.tagTtlMs,
      upstream: registryUpstream(rule, clock),
    })),
    webhooks: config.webhooks,
    origin: config.externalUrl?.replace(/\/+$/, ""),
    garbage: {
      ...config.garbage,
      unused: config.proxies.flatMap(({ prefix, keepMs }) =>
        keepMs === undefined ? [] : [{ prefix, afterMs: keepMs }],
      ),
    },
    settings: {
      readOnly: config.readOnly,
      deleteEnabled: config.deleteEnabled,
      graceMs: config.garbage.graceMs,
      stallMs: config.limits.stallMs,
      pages: config.pages,
      metrics: config.metricsListen === undefined,
    },
    clock,
    log,
  });
}

function accessOf(
  config: RegistryConfig,
  clock: Clock,
  log: Log,
): { readonly access: Authenticator; readonly issuer?: TokenIssuer } {
  if (config.token) {
    const { realm, service, issuer, keyFiles } = config.token;
    const keys = keyFiles.flatMap((path) => parseTokenKeys(readFileSync(path, "utf8"), path));
    return { access: bearerAuthenticator({ realm, service, issuer, keys, clock }) };
  }
  if (config.htpasswd === undefined) return { access: openAccess };
  const passwords = new Htpasswd({ path: config.htpasswd, clock, log });
  const { rights } = config;
  if (!rights.rules.some((rule) => rule.anonymous))
    return { access: basicAuthenticator({ passwords, rights }) };
  // Tokens of an earlier process are refused, and clients ask for new ones.
  const issuer: TokenIssuer = { passwords, rights, service: ownService, secret: randomBytes(32), clock };
  const scheme = config.tls ? "https" : "http";
  const realm = (exchange: Exchange) =>
    `${config.externalUrl?.replace(/\/+$/, "") ?? `${scheme}://${exchange.headers.get("host") ?? ""}`}/token`;
  return { access: issuingAuthenticator(issuer, { ...issuer, realm }), issuer };
}
