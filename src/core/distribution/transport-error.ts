import { TugError } from "../../base/lib/errors.ts";
import { errnoOf } from "../../base/lib/storage-error.ts";
import { splitHost } from "./registry-config.ts";

/** What is asked of the host's resolver when a connection failed, to say what Docker says. */
export interface Names {
  /** Addresses of a name; empty when it has none. */
  lookup(host: string): Promise<readonly string[]>;
  /** "10.0.0.1:53": the name server a failed look-up is blamed on. */
  readonly server: string;
}

const dialErrors: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connect: connection refused",
  EHOSTUNREACH: "connect: no route to host",
  ENETUNREACH: "connect: network is unreachable",
  ETIMEDOUT: "i/o timeout",
};

const unknownAuthority = "tls: failed to verify certificate: x509: certificate signed by unknown authority";
const certificateErrors: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  CERT_HAS_EXPIRED: "tls: failed to verify certificate: x509: certificate has expired or is not yet valid",
  CERT_NOT_YET_VALID: "tls: failed to verify certificate: x509: certificate has expired or is not yet valid",
};

/** `Get "https://host/v2/": `, as Go's HTTP client begins its errors; queries may hold signatures and are left out. */
export function requestPrefix(method: string, url: string): string {
  const shown = url.replace(/\?.*$/, "");
  return `${method.charAt(0)}${method.slice(1).toLowerCase()} "${shown}": `;
}

/** Turns a failed `fetch` into the sentence dockerd prints for it, as `unavailable`. */
export async function transportError(
  error: unknown,
  method: string,
  url: string,
  proxy: string | false,
  names: Names,
): Promise<TugError> {
  const reason = await reasonOf(error, url, proxy, names);
  return new TugError("unavailable", `${requestPrefix(method, url)}${reason}`, { cause: error });
}

async function reasonOf(error: unknown, url: string, proxy: string | false, names: Names): Promise<string> {
  const code = errnoOf(error) ?? "";
  const target = new URL(proxy || url);
  const prefix = proxy ? "proxyconnect tcp: " : "";
  const port = target.port || (target.protocol === "https:" ? "443" : "80");
  const { host } = splitHost(target.host);
  const dial = dialErrors[code];
  if (dial !== undefined) {
    const addresses = /^[0-9.]+$|:/.test(host) ? [host] : await names.lookup(host);
    const address = addresses.find((each) => !each.includes(":")) ?? addresses[0] ?? host;
    return `${prefix}dial tcp ${address.includes(":") ? `[${address}]` : address}:${port}: ${dial}`;
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return `${prefix}dial tcp: lookup ${host} on ${names.server}: ${code === "ENOTFOUND" ? "no such host" : "server misbehaving"}`;
  }
  const certificate = certificateErrors[code];
  if (certificate !== undefined) return certificate;
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `tls: failed to verify certificate: x509: certificate is not valid for ${host}`;
  }
  if (code === "EPROTO") return "http: server gave HTTP response to HTTPS client";
  if (code === "ECONNRESET") return "EOF";
  return error instanceof Error ? error.message : String(error);
}
