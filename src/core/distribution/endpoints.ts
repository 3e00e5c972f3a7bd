import { invalid } from "../../base/lib/errors.ts";
import { readRegistryCertificates, type TlsSettings } from "./certificates.ts";
import { isInsecure, type RegistryConfig } from "./registry-config.ts";

/** One way to reach a registry. */
export interface Endpoint {
  /** "https://registry-1.docker.io", without a trailing slash; a mirror may have a path. */
  readonly base: string;
  readonly mirror: boolean;
  readonly tls: TlsSettings;
}

/** Docker Hub's registry answers under another name than its images carry. */
const dockerHub = "registry-1.docker.io";

/**
 * The ways to reach the registry of `domain`, in the order to try them: for docker.io its mirrors first; an insecure registry
 * by HTTPS with any certificate, then by plain HTTP; any other only by HTTPS with a good certificate.
 */
export async function endpointsOf(
  domain: string,
  deps: {
    readonly config: RegistryConfig;
    readonly systemAuthorities: string | undefined;
    readonly lookup: (host: string) => Promise<readonly string[]>;
  },
): Promise<readonly Endpoint[]> {
  const { config } = deps;
  const tls = (authority: string, verify: boolean): TlsSettings => {
    const own = readRegistryCertificates(config.certificateDirectories, authority);
    return {
      verify,
      authorities: [...(deps.systemAuthorities ? [deps.systemAuthorities] : []), ...own.authorities],
      client: own.client,
    };
  };
  const found: Endpoint[] = [];
  if (domain === "docker.io") {
    for (const mirror of config.mirrors) {
      const url = parseMirror(mirror);
      const insecure = await isInsecure(url.host, config, deps.lookup);
      found.push({ base: url.href.replace(/\/+$/, ""), mirror: true, tls: tls(url.host, !insecure) });
    }
    found.push({ base: `https://${dockerHub}`, mirror: false, tls: tls(dockerHub, true) });
    return found;
  }
  const insecure = await isInsecure(domain, config, deps.lookup);
  found.push({ base: `https://${domain}`, mirror: false, tls: tls(domain, !insecure) });
  if (insecure) found.push({ base: `http://${domain}`, mirror: false, tls: tls(domain, false) });
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
