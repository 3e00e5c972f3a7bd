import { invalid } from "../base/lib/errors.ts";

/** Docker's API is 1.N for ever: the N is the version. */
export type ApiVersion = number;

export const minVersion: ApiVersion = 24;
export const maxVersion: ApiVersion = 56;

export const versionText = (version: ApiVersion): string => `1.${version}`;

/**
 * Splits `/v1.44/containers/json` into version and path; without a prefix the newest version is meant. Errors are those of
 * dockerd's version middleware.
 */
export function splitVersion(path: string): { readonly version: ApiVersion; readonly path: string } {
  const match = /^\/v([0-9.]+)(\/.*)?$/.exec(path);
  if (!match) return { version: maxVersion, path };
  const text = match[1] ?? "";
  const [major, minor] = text.split(".").map(Number);
  const number = (major ?? 0) * 1000 + (minor ?? 0);
  if (number < 1000 + minVersion) {
    throw invalid(
      `client version ${text} is too old. Minimum supported API version is ${versionText(minVersion)}, please upgrade your client to a newer version`,
    );
  }
  if (number > 1000 + maxVersion) {
    throw invalid(
      `client version ${text} is too new. Maximum supported API version is ${versionText(maxVersion)}`,
    );
  }
  return { version: minor ?? 0, path: match[2] ?? "/" };
}
