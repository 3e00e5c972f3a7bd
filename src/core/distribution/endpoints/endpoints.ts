import { invalid } from "../../../base/lib/errors.ts";
import type { Reference } from "../../../base/spec/docker/reference.ts";
import { isInsecure, type RegistryConfig } from "../registry-config.ts";
import { readRegistryCertificates, type TlsSettings } from "./certificates.ts";
import {
  type Capabilities,
  type HostsFile,
  hostDirectories,
  readHostsFile,
  type TomlHost,
} from "./hosts-toml.ts";
import { blockedError, type ConfMatch, matchRegistriesConf } from "./registries-conf.ts";

/** One way to reach a registry. */
export interface Endpoint {
  /** "https://registry-1.docker.io", without a trailing slash; a mirror may have a path. */
  readonly base: string;
  /** Where its API begins: `base` and "/v2", but for what `override_path` says. */
  readonly api: string;
  /** Not the last word: whatever goes wrong there, the next endpoint is tried. */
  readonly mirror: boolean;
  /** The registry that the name means: what a user gave for it is sent here and nowhere else. */
  readonly home: boolean;
  readonly tls: TlsSettings;
  readonly can: Capabilities;
  /** Whom it is for, by what the image is asked for with. */
  readonly use: "all" | "digest-only" | "tag-only";
  /** The repository there. */
  readonly repository: string;
  /** Sent with each request to it and with none that is redirected elsewhere. */
  readonly headers: Readonly<Record<string, string>>;
  /** Registry that a mirror of several is asked for (`?ns=`, containerd's convention). */
  readonly namespace: string | undefined;
  /** Milliseconds for its first answer. */
  readonly dialTimeout: number | undefined;
  /** Why it is here, for people: "--registry-mirror", a file, "the registry itself". */
  readonly source: string;
}

/** Docker Hub's registry answers under another name than its images carry. */
const dockerHub = "registry-1.docker.io";
const everything: Capabilities = { resolve: true, pull: true, push: true };
const pulling: Capabilities = { resolve: true, pull: true, push: false };

interface Deps {
  readonly config: RegistryConfig;
  readonly systemAuthorities: string | undefined;
  readonly lookup: (host: string) => Promise<readonly string[]>;
}

/**
 * The ways to reach the registry of an image, in the order to try them:
 *
 *  1. for docker.io, `--registry-mirror`;
 *  2. the hosts of the registry's hosts.toml and its `server`; or, where it has none,
 *  3. the mirrors and the location that registries.conf has for the name; or, where it has none,
 *  4. the registry itself: an insecure one by HTTPS with any certificate, then by plain HTTP; any other only by HTTPS with a good one.
 *
 * What registries.conf blocks is refused in any case.
 */
export async function endpointsOf(
  ref: Pick<Reference, "domain" | "path"> & Partial<Reference>,
  deps: Deps,
): Promise<readonly Endpoint[]> {
  const { config } = deps;
  const conf = matchRegistriesConf(config.registriesConf ?? "", ref);
  if (conf?.blocked) throw blockedError(conf, ref);
  const found: Endpoint[] = [];
  if (ref.domain === "docker.io") {
    for (const mirror of config.mirrors) {
      const url = parseMirror(mirror);
      const insecure = await isInsecure(url.host, config, deps.lookup);
      const base = url.href.replace(/\/+$/, "");
      const tls = tlsFor(deps, url.host, !insecure);
      found.push(endpoint(ref, { base, mirror: true, can: pulling, tls, source: "--registry-mirror" }));
    }
  }
  const file = readHostsFile(config.hostsDirectories ?? [], ref.domain);
  if (file) found.push(...(await fromHostsFile(file, ref, deps)));
  else if (conf) found.push(...(await fromRegistriesConf(conf, ref, deps)));
  else found.push(...(await direct(ref.domain, ref, deps, {})));
  return found;
}

/** The registry itself, whatever mirrors there are: where credentials are proved. */
export async function homeEndpoints(domain: string, deps: Deps): Promise<readonly Endpoint[]> {
  const all = await endpointsOf({ domain, path: "" }, deps);
  const home = all.filter((each) => each.home);
  return home.length > 0 ? home : await direct(domain, { domain, path: "" }, deps, {});
}

type Ref = Pick<Reference, "domain" | "path">;

function endpoint(ref: Ref, given: Partial<Endpoint> & Pick<Endpoint, "base" | "tls" | "source">): Endpoint {
  return {
    api: `${given.base}/v2`,
    mirror: false,
    home: false,
    can: everything,
    use: "all",
    repository: ref.path,
    headers: {},
    namespace: undefined,
    dialTimeout: undefined,
    ...given,
  };
}

function tlsFor(deps: Deps, authority: string, verify: boolean): TlsSettings {
  const directories = deps.config.certificateDirectories.flatMap((root) => hostDirectories(root, authority));
  const own = readRegistryCertificates(directories);
  const system = deps.systemAuthorities ? [deps.systemAuthorities] : [];
  return { verify, authorities: [...system, ...own.authorities], client: own.client };
}

/** A registry by its name: two endpoints where plain HTTP is allowed. */
async function direct(
  domain: string,
  ref: Ref,
  deps: Deps,
  given: Partial<Endpoint> & { readonly insecure?: boolean },
): Promise<readonly Endpoint[]> {
  const { insecure: told, ...more } = given;
  const host = domain === "docker.io" ? dockerHub : domain;
  const insecure = told || (await isInsecure(domain, deps.config, deps.lookup));
  const common = { home: domain === ref.domain, source: "the registry itself", ...more };
  const secure = { ...common, base: `https://${host}`, tls: tlsFor(deps, host, !insecure) };
  if (!insecure) return [endpoint(ref, secure)];
  const plain = { ...common, base: `http://${host}`, tls: secure.tls };
  return [endpoint(ref, secure), endpoint(ref, plain)];
}

async function fromHostsFile(file: HostsFile, ref: Ref, deps: Deps): Promise<readonly Endpoint[]> {
  const found: Endpoint[] = [];
  for (const host of file.hosts) {
    const { can, headers, dialTimeout, server } = host;
    const common = { can, headers, dialTimeout, mirror: !server, source: file.path };
    if (host.origin === undefined) {
      for (const each of await direct(ref.domain, ref, deps, common)) {
        found.push({ ...each, tls: withOwn(each.tls, host) });
      }
      continue;
    }
    const url = new URL(host.origin);
    const home = url.host === ref.domain || (ref.domain === "docker.io" && url.host === dockerHub);
    const verify = !(host.skipVerify ?? (await isInsecure(url.host, deps.config, deps.lookup)));
    const tls = withOwn(tlsFor(deps, url.host, verify && url.protocol === "https:"), host);
    // With settings for TLS containerd tries a host that is written with http by https first.
    const explicit =
      host.skipVerify !== undefined || host.authorities.length > 0 || host.client !== undefined;
    const both = url.protocol === "http:" && explicit && url.port !== "";
    for (const origin of both ? [host.origin.replace(/^http:/, "https:"), host.origin] : [host.origin]) {
      const namespace = home ? undefined : ref.domain;
      const base = `${origin}${host.apiPath.replace(/\/v2$/, "")}`;
      found.push(endpoint(ref, { ...common, base, api: `${origin}${host.apiPath}`, home, namespace, tls }));
    }
  }
  return found;
}

function withOwn(tls: TlsSettings, host: TomlHost): TlsSettings {
  return {
    verify: host.skipVerify === undefined ? tls.verify : tls.verify && !host.skipVerify,
    authorities: [...tls.authorities, ...host.authorities],
    client: host.client ?? tls.client,
  };
}

/** Mirrors are read from, never pushed to (registries.conf(5)); a location that is elsewhere neither. */
async function fromRegistriesConf(conf: ConfMatch, ref: Ref, deps: Deps): Promise<readonly Endpoint[]> {
  const found: Endpoint[] = [];
  for (const place of conf.places) {
    const { mirror, insecure, use, path: repository } = place;
    const moved = place.domain !== ref.domain || repository !== ref.path;
    const source = `${conf.file} (prefix "${conf.prefix}")`;
    const can = mirror || moved ? pulling : everything;
    const given = { mirror, insecure, use, repository, source, can };
    found.push(...(await direct(place.domain, ref, deps, given)));
    if (!mirror && moved) {
      const registry = await direct(ref.domain, ref, deps, {
        can: { resolve: false, pull: false, push: true },
      });
      found.push(...registry);
    }
  }
  return found;
}

/** Checks a `--registry-mirror` value with Docker's words. */
export function parseMirror(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch (error) {
    throw invalid(`invalid mirror: ${JSON.stringify(text)} is not a valid URI`, error);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw invalid(`invalid mirror: unsupported scheme "${url.protocol.slice(0, -1)}" in "${text}"`);
  }
  if (url.search || url.hash) {
    throw invalid(`invalid mirror: unsupported path, query, or fragment at end of the URI "${text}"`);
  }
  if (url.username || url.password) {
    throw invalid(`invalid mirror: username/password not allowed in URI "${url.protocol}//${url.host}"`);
  }
  return url;
}
