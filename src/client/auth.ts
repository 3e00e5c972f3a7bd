/** Credentials of one registry, as the X-Registry-Auth header carries them. */
export interface AuthConfig {
  readonly username?: string;
  readonly password?: string;
  readonly auth?: string;
  readonly serveraddress?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

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
