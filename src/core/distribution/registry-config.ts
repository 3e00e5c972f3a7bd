import { contains, parseIp, parsePrefix } from "../../base/lib/ip.ts";

/** What the daemon's flags and daemon.json say about registries. */
export interface RegistryConfig {
  /** `--insecure-registry`: "host", "host:port" or a CIDR. */
  readonly insecureRegistries: readonly string[];
  /** `--registry-mirror`: base URLs, tried in order before Docker Hub. */
  readonly mirrors: readonly string[];
  /** Directories holding `<host:port>/{*.crt,*.cert,*.key}`, e.g. /etc/docker/certs.d. */
  readonly certificateDirectories: readonly string[];
  /** Directories holding `<host:port>/hosts.toml`, the same as a rule; the first that has one counts. None: none is read. */
  readonly hostsDirectories?: readonly string[];
  /** containers/image's registries.conf; empty: none is read. */
  readonly registriesConf?: string;
  readonly proxy: ProxyConfig;
  /** `--max-download-attempts`: how often a blob's download is tried before it is given up; 5 unless told. */
  readonly maxDownloadAttempts?: number;
  /** How large blobs come over several connections; `defaultRanges` where nothing is told. */
  readonly ranges?: Partial<RangeSettings>;
  /** "tug/<version>". */
  readonly userAgent: string;
}

/** When and how one blob comes over several connections. */
export interface RangeSettings {
  /** Connections for one blob; 1 never opens a second. */
  readonly connections: number;
  /** Blobs of at most so many bytes come over one connection. */
  readonly over: number;
  /** Milliseconds over which speed is measured before a connection is added. */
  readonly window: number;
  /** Bytes a second that one connection is fast enough with. */
  readonly fast: number;
  /** Bytes of the smallest and the largest range that is asked for. */
  readonly least: number;
  readonly most: number;
}

export const defaultRanges: RangeSettings = {
  connections: 4,
  over: 32 * 1024 * 1024,
  window: 500,
  fast: 48 * 1024 * 1024,
  least: 4 * 1024 * 1024,
  most: 32 * 1024 * 1024,
};

/** HTTP_PROXY, HTTPS_PROXY, NO_PROXY, or the "proxies" of daemon.json. */
export interface ProxyConfig {
  readonly http?: string | undefined;
  readonly https?: string | undefined;
  readonly no?: string | undefined;
}

/** The proxy variables of an environment; the lower-case names count too, as for Go programs. */
export function proxyFromEnvironment(env: Readonly<Record<string, string | undefined>>): ProxyConfig {
  const pick = (name: string) => env[name] || env[name.toLowerCase()] || undefined;
  return { http: pick("HTTP_PROXY"), https: pick("HTTPS_PROXY"), no: pick("NO_PROXY") };
}

/** Splits "host:port", "[::1]:port" or "host". */
export function splitHost(authority: string): { readonly host: string; readonly port: string | undefined } {
  const match = /^(\[[^\]]*\]|[^:]*)(?::([0-9]+))?$/.exec(authority);
  if (!match) return { host: authority, port: undefined };
  return { host: (match[1] ?? "").replace(/^\[|\]$/g, ""), port: match[2] };
}

const loopback = ["127.0.0.0/8", "::1/128"].map(parsePrefix);

/** Where hosts find their cloud's metadata, credentials among them: IPv4 and IPv6 link-local, and the address that AWS uses for IPv6. */
const metadata = ["169.254.0.0/16", "::ffff:169.254.0.0/112", "fe80::/10", "fd00:ec2::254/128"].map(
  parsePrefix,
);

/** True for an address that no registry may send its clients to (server-side request forgery). */
export function isMetadataAddress(url: URL): boolean {
  const address = parseIp(splitHost(url.host).host);
  return address !== undefined && metadata.some((range) => range && contains(range, address));
}

/**
 * True when a registry may be spoken to in plain HTTP or with an unverified certificate: listed by name, or one of its
 * addresses lies in a listed CIDR or in 127.0.0.0/8 (which Docker always lists). `lookup` gives a name's addresses.
 */
export async function isInsecure(
  authority: string,
  config: RegistryConfig,
  lookup: (host: string) => Promise<readonly string[]>,
): Promise<boolean> {
  if (authority === "docker.io") return false;
  const names = config.insecureRegistries.map((each) => each.replace(/^https?:\/\//, "").replace(/\/$/, ""));
  if (names.includes(authority)) return true;
  const ranges = [...loopback, ...names.map(parsePrefix)].filter((range) => range !== undefined);
  const { host } = splitHost(authority);
  const addresses = parseIp(host) ? [host] : host === "localhost" ? ["127.0.0.1"] : await lookup(host);
  return addresses.some((text) => {
    const address = parseIp(text);
    return address !== undefined && ranges.some((range) => contains(range, address));
  });
}

/**
 * The proxy for a URL, or false for a direct connection. NO_PROXY as Go reads it: names (their subdomains too), ".suffix",
 * addresses, CIDRs, "*", each with an optional port; loopback is never proxied.
 */
export function proxyFor(url: URL, proxy: ProxyConfig): string | false {
  const chosen = url.protocol === "https:" ? proxy.https : proxy.http;
  if (!chosen) return false;
  const { host } = splitHost(url.host);
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  const address = parseIp(host);
  if (host === "localhost" || (address && loopback.some((range) => range && contains(range, address))))
    return false;
  for (const entry of (proxy.no ?? "").split(",").map((each) => each.trim().toLowerCase())) {
    if (entry === "") continue;
    if (entry === "*") return false;
    const range = parsePrefix(entry);
    if (range) {
      if (address && contains(range, address)) return false;
      continue;
    }
    const rule = splitHost(entry);
    if (rule.port !== undefined && rule.port !== port) continue;
    const name = rule.host.replace(/^\*?\./, "");
    const onlyBelow = rule.host !== name;
    if ((!onlyBelow && host === name) || host.endsWith(`.${name}`)) return false;
  }
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(chosen) ? chosen : `http://${chosen}`;
}
