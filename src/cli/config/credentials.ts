import { isCode, messageOf, TugError } from "../../base/lib/errors.ts";
import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import type { Context } from "../context.ts";
import type { ConfigFile } from "./config-file.ts";
import type { StoredAuth } from "./config-shape.ts";
import type { CredentialHelper, Waiting } from "./credential-helper.ts";

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

/** The helper that keeps the credentials stored under one of these names; undefined: they are in the file. */
export function helperOf(config: ConfigFile, names: readonly string[]): CredentialHelper | undefined {
  const { credHelpers = {}, credsStore } = config.data;
  const name = names.find((one) => Object.hasOwn(credHelpers, one));
  const [helper, entry] =
    name === undefined ? [credsStore, "credsStore"] : [credHelpers[name], `credHelpers' ${name}`];
  // An empty name is nobody's: Docker's way to except a registry from the store.
  return helper
    ? { program: `docker-credential-${helper}`, setting: `${entry} in ${config.path}` }
    : undefined;
}

interface Asking extends Waiting {
  /** Takes what went wrong with a helper; what the file itself has counts then. Without, it is thrown. */
  readonly onFailure?: (error: unknown) => Promise<void> | void;
}

/** The credentials for a registry: from its helper, the store, or the file itself. Undefined when there are none. */
export async function authFor(
  config: ConfigFile,
  key: string,
  asking: Asking = {},
): Promise<AuthConfig | undefined> {
  const helper = helperOf(config, [key, hostOf(key)]);
  if (helper) {
    const { helperGet } = await import("./credential-helper.ts");
    try {
      const found = await helperGet(helper, key, asking);
      if (found) return found;
    } catch (error) {
      if (!asking.onFailure || asking.signal?.aborted || isCode(error, "cancelled")) throw error;
      await asking.onFailure(error);
    }
  }
  const { auths } = config.data;
  const stored =
    auths?.[key] ?? Object.entries(auths ?? {}).find(([name]) => hostOf(name) === hostOf(key))?.[1];
  return stored ? decodeAuth(key, stored) : undefined;
}

/**
 * A command's credentials for a registry ("docker.io"). A helper that fails costs a warning: Docker's client goes on without them and says nothing,
 * and most images are for everybody. Who is refused then knows why.
 */
export async function registryAuth(
  context: Pick<Context, "config" | "err">,
  domain: string,
): Promise<AuthConfig | undefined> {
  return await authFor(await context.config(), registryKey(domain), {
    onSlow: (text) => void context.err.write(text).catch(() => undefined), // nobody to tell
    onFailure: (error) => context.err.write(withoutHelper(error)),
  });
}

/** What is said of a helper that failed where the command goes on. */
export const withoutHelper = (error: unknown) =>
  `WARNING: ${messageOf(error)}; going on without these credentials\n`;

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
