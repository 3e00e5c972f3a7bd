import { isCode, messageOf, TugError } from "../../base/lib/errors.ts";
import { RegistryError } from "./http/registry-error.ts";
import { TransportError } from "./http/transport-error.ts";

/** What was attempted, for words that fit. */
export interface Attempted {
  readonly action: "pull" | "push" | "login";
  /** "docker.io", "registry.example:5000" */
  readonly domain: string;
  /** Familiar name of the repository; none for a login. */
  readonly repository?: string;
}

/** The error with what its reader can do about it behind Docker's own text, which clients match on. */
export function withHint(error: unknown, attempted: Attempted): unknown {
  if (isCode(error, "cancelled")) return error;
  const hint = hintFor(error, attempted);
  if (hint === undefined || !(error instanceof TugError)) return error;
  return new TugError(error.code, `${messageOf(error)} (${hint})`, { cause: error });
}

function hintFor(error: unknown, attempted: Attempted): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof TransportError) return transportHint(at, attempted);
    if (at instanceof RegistryError) return registryHint(at, attempted);
  }
  // What is missing was noticed before anything was asked.
  if (isCode(error, "unauthorized")) return loginHint(attempted);
  return undefined;
}

function loginHint({ action, domain }: Attempted): string {
  if (action === "login") return "check user name and password, or use an access token";
  return `log in with: tug login${domain === "docker.io" ? "" : ` ${domain}`}`;
}

function registryHint(error: RegistryError, attempted: Attempted): string | undefined {
  const { action, domain, repository } = attempted;
  switch (error.code) {
    case "unauthorized":
      return loginHint(attempted);
    case "forbidden":
      // Docker's text for a pull says it already.
      if (action === "pull" && error.kind === "DENIED") return undefined;
      return `whoever is logged in at ${domain} has no right to ${action} ${repository ?? "here"}`;
    case "not-found":
      if (error.kind === "MANIFEST_UNKNOWN") return "check name and tag: the registry has no such image";
      if (error.kind === "NAME_UNKNOWN") return "check the name: the registry has no such repository";
      return undefined;
    case "unavailable":
      if (error.status === 429) {
        return `${domain} limits how much it serves: wait, log in if you have not, or use a mirror`;
      }
      return `${domain} has trouble of its own: try again later, or use a mirror`;
    default:
      return undefined;
  }
}

function transportHint(error: TransportError, { domain }: Attempted): string | undefined {
  switch (error.reason) {
    case "name":
      return "check the name, and this host's DNS";
    case "refused":
      return "nothing listens there: check the port, and that the registry runs";
    case "unreachable":
    case "timeout":
      return "check this host's network, firewall and proxy settings";
    case "authority":
      return `put the certificate of the authority that signed it into /etc/docker/certs.d/${error.host}/ca.crt, or list the registry in "insecure-registries"`;
    case "expired":
      return "check this host's clock; else the registry needs a new certificate";
    case "host-name":
      return `the certificate is for another name: use that one, or list ${error.host} in "insecure-registries"`;
    case "plain-http":
      return `it speaks plain HTTP: list ${domain} in "insecure-registries" if that is right`;
    case "client-certificate":
      return `the registry wants a client certificate: put client.cert and client.key into /etc/docker/certs.d/${error.host}/`;
    case "other":
      return undefined;
  }
}
