import { messageOf, TugError } from "../../base/lib/errors.ts";
import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import type { ConfigFile } from "./config-file.ts";
import type { StoredAuth } from "./config-shape.ts";

/** Docker Hub's name in configuration files. */
export const hubKey = "https://index.docker.io/v1/";

/** The key of a registry under `auths`. */
export function registryKey(domain: string): string {
  return domain === "docker.io" || domain === "index.docker.io" ? hubKey : domain;
}

/** A registry's name as its credentials are stored under: without scheme and path. */
export function serverName(server: string): string {
  return hostOf(server);
}

/** A key without scheme and path, to match "https://host/v1/" with "host". */
function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, "").split("/")[0] ?? "";
}

/** The credentials for a registry: from its helper, the store, or the file itself. Undefined when there are none. */
export async function authFor(config: ConfigFile, key: string): Promise<AuthConfig | undefined> {
  const { credHelpers, credsStore, auths } = config.data;
  const helper = credHelpers?.[key] ?? credHelpers?.[hostOf(key)] ?? credsStore;
  if (helper) {
    const { helperGet } = await import("./credential-helper.ts");
    const found = await helperGet(helper, key);
    if (found) return found;
  }
  const stored =
    auths?.[key] ?? Object.entries(auths ?? {}).find(([name]) => hostOf(name) === hostOf(key))?.[1];
  return stored ? decodeAuth(key, stored) : undefined;
}

/** Turns an `auths` entry into credentials. */
export function decodeAuth(key: string, stored: StoredAuth): AuthConfig {
  const rest = {
    serveraddress: key,
    ...(stored.identitytoken ? { identitytoken: stored.identitytoken } : {}),
    ...(stored.registrytoken ? { registrytoken: stored.registrytoken } : {}),
  };
  if (!stored.auth) {
    return {
      ...rest,
      ...(stored.username ? { username: stored.username, password: stored.password ?? "" } : {}),
    };
  }
  const text = Buffer.from(stored.auth, "base64").toString();
  const colon = text.indexOf(":");
  if (colon < 0)
    throw new TugError(
      "invalid-argument",
      `invalid auth configuration file: "auth" of ${key} is not the base64 form of user:password: log in there again`,
    );
  return { username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, ""), ...rest };
}

/** Every registry that `tug` has credentials for, for builds. */
export async function allAuths(config: ConfigFile): Promise<Record<string, AuthConfig>> {
  const keys = new Set([
    ...Object.keys(config.data.auths ?? {}),
    ...Object.keys(config.data.credHelpers ?? {}),
  ]);
  const found: Record<string, AuthConfig> = {};
  for (const key of keys) {
    try {
      const auth = await authFor(config, key);
      if (auth) found[key] = auth;
    } catch (error) {
      throw new TugError("invalid-argument", `credentials of ${key}: ${messageOf(error)}`, { cause: error });
    }
  }
  return found;
}
