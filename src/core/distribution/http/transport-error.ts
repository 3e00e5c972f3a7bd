import { TugError } from "../../../base/lib/errors.ts";
import { errnoOf } from "../../../base/lib/storage-error.ts";
import { splitHost } from "../registry-config.ts";

/** What is asked of the host's resolver when a connection failed, to say what Docker says. */
export interface Names {
  /** Addresses of a name; empty when it has none. */
  lookup(host: string): Promise<readonly string[]>;
  /** "10.0.0.1:53": the name server a failed look-up is blamed on. */
  readonly server: string;
  /** Why a TLS handshake failed: no TLS there, or a server that wants a client certificate. */
  handshake?(host: string, port: number): Promise<"plain-http" | "client-certificate" | "other">;
}

/** What kind of failure it was, where something can be done about it. */
export type TransportReason =
  | "name" // the host's name has no address
  | "refused"
  | "unreachable"
  | "timeout"
  | "authority" // nobody trusted has signed the certificate
  | "expired"
  | "host-name" // the certificate is another host's
  | "plain-http" // no TLS where TLS was expected
  | "client-certificate"
  | "other";

/** A request that got no answer. */
export class TransportError extends TugError {
  readonly reason: TransportReason;
  /** "registry.example:5000" */
  readonly host: string;
  constructor(reason: TransportReason, url: string, message: string, cause?: unknown) {
    super("unavailable", message, { cause });
    this.reason = reason;
    this.host = URL.canParse(url) ? new URL(url).host : url;
  }
}

type Known = readonly [reason: TransportReason, text: string];

const dialErrors: Readonly<Record<string, Known>> = {
  ECONNREFUSED: ["refused", "connect: connection refused"],
  EHOSTUNREACH: ["unreachable", "connect: no route to host"],
  ENETUNREACH: ["unreachable", "connect: network is unreachable"],
  ETIMEDOUT: ["timeout", "i/o timeout"],
};

const unknownAuthority: Known = [
  "authority",
  "tls: failed to verify certificate: x509: certificate signed by unknown authority",
];
const expired: Known = [
  "expired",
  "tls: failed to verify certificate: x509: certificate has expired or is not yet valid",
];
const certificateErrors: Readonly<Record<string, Known>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  CERT_HAS_EXPIRED: expired,
  CERT_NOT_YET_VALID: expired,
  EPROTO: ["plain-http", "http: server gave HTTP response to HTTPS client"],
  ECONNRESET: ["other", "EOF"],
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
): Promise<TransportError> {
  const [reason, text] = await reasonOf(error, url, proxy, names);
  return new TransportError(reason, url, `${requestPrefix(method, url)}${text}`, error);
}

async function reasonOf(error: unknown, url: string, proxy: string | false, names: Names): Promise<Known> {
  const code = errnoOf(error) ?? "";
  const target = new URL(proxy || url);
  const prefix = proxy ? "proxyconnect tcp: " : "";
  const port = target.port || (target.protocol === "https:" ? "443" : "80");
  const { host } = splitHost(target.host);
  const dial = dialErrors[code];
  if (dial !== undefined) {
    const addresses = /^[0-9.]+$|:/.test(host) ? [host] : await names.lookup(host);
    const address = addresses.find((each) => !each.includes(":")) ?? addresses[0] ?? host;
    const shown = address.includes(":") ? `[${address}]` : address;
    return [dial[0], `${prefix}dial tcp ${shown}:${port}: ${dial[1]}`];
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    const answer = code === "ENOTFOUND" ? "no such host" : "server misbehaving";
    return ["name", `${prefix}dial tcp: lookup ${host} on ${names.server}: ${answer}`];
  }
  if (code === "EPROTO" && !proxy && names.handshake) {
    const why = await names.handshake(host, Number(port));
    if (why === "client-certificate") return [why, "remote error: tls: certificate required"];
    if (why === "other") return [why, "remote error: tls: handshake failure"];
  }
  const certificate = certificateErrors[code];
  if (certificate !== undefined) return certificate;
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    const text = `tls: failed to verify certificate: x509: certificate is not valid for ${host}`;
    return ["host-name", text];
  }
  return ["other", error instanceof Error ? error.message : String(error)];
}
