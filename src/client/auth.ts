import type { AuthConfig } from "../base/spec/docker/auth-config.ts";
/** The header for one request: base64url JSON (API docs, "Authentication"). */
export function authHeader(auth: AuthConfig | undefined): Record<string, string> | undefined {
  if (!auth) return undefined;
  return {
    "X-Registry-Auth": Buffer.from(JSON.stringify(auth))
      .toString("base64")
      .replaceAll("+", "-")
      .replaceAll("/", "_"),
  };
}
