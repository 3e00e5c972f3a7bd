import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { TugError } from "../../../base/lib/errors.ts";
import { errnoOf } from "../../../base/lib/storage-error.ts";

/** How a connection to one registry is secured. */
export interface TlsSettings {
  /** False: any certificate will do (insecure registry). */
  readonly verify: boolean;
  /** PEM bundles to trust: the system's, then the registry's own. Empty: what the runtime brings. */
  readonly authorities: readonly string[];
  readonly client: { readonly certificate: string; readonly key: string } | undefined;
}

/** Where distributions keep their bundle of trusted authorities. */
const systemBundles = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/tls/cacert.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** The host's trusted authorities, with what its administrator added; undefined where there is no bundle. */
export function systemAuthorities(override = process.env["SSL_CERT_FILE"]): string | undefined {
  for (const path of override ? [override] : systemBundles) {
    const text = readIfThere(path);
    if (text) return text;
  }
  return undefined;
}

/**
 * Reads a registry's directories as Docker does: every `*.crt` is an authority to trust, every `*.cert` a client certificate
 * whose key is the `*.key` of the same name. Throws invalid-argument for a certificate without key or a key without certificate.
 */
export function readRegistryCertificates(
  directories: readonly string[],
): Pick<TlsSettings, "authorities" | "client"> {
  const authorities: string[] = [];
  let client: TlsSettings["client"];
  for (const here of directories) {
    const names = new Set(listIfThere(here));
    for (const name of [...names].sort()) {
      const path = join(here, name);
      if (name.endsWith(".crt")) authorities.push(readFileSync(path, "utf8"));
      if (name.endsWith(".cert")) {
        const key = `${name.slice(0, -".cert".length)}.key`;
        if (!names.has(key)) {
          throw new TugError(
            "invalid-argument",
            `missing key ${key} for client certificate ${name}. CA certificates must use the extension .crt`,
          );
        }
        client ??= { certificate: readFileSync(path, "utf8"), key: readFileSync(join(here, key), "utf8") };
      }
      if (name.endsWith(".key") && !names.has(`${name.slice(0, -".key".length)}.cert`)) {
        const certificate = `${name.slice(0, -".key".length)}.cert`;
        throw new TugError("invalid-argument", `missing client certificate ${certificate} for key ${name}`);
      }
    }
  }
  return { authorities, client };
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
}

function listIfThere(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return [];
    throw error;
  }
}
