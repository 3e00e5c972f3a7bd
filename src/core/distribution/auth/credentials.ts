import type { AuthConfig } from "../../../base/spec/docker/auth-config.ts";

/** What a request may prove itself with; at most one kind is set. */
export interface Credentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** OAuth2 refresh token ("identity token" in Docker's words). */
  readonly identityToken: string | undefined;
  /** A bearer token to be sent as it is. */
  readonly registryToken: string | undefined;
}

const anonymous: Credentials = {
  username: undefined,
  password: undefined,
  identityToken: undefined,
  registryToken: undefined,
};

/** Reads the members of X-Registry-Auth; `auth` (base64 of user:password) counts when no user name is given. */
export function credentialsOf(auth: AuthConfig | undefined): Credentials {
  if (!auth) return anonymous;
  if (auth.registrytoken) return { ...anonymous, registryToken: auth.registrytoken };
  let { username, password } = auth;
  if (!username && auth.auth) {
    const plain = Buffer.from(auth.auth, "base64").toString("utf8").replace(/\0+$/, "");
    const colon = plain.indexOf(":");
    if (colon > 0) [username, password] = [plain.slice(0, colon), plain.slice(colon + 1)];
  }
  return {
    ...anonymous,
    username: username || undefined,
    password: username ? (password ?? "") : undefined,
    identityToken: auth.identitytoken || undefined,
  };
}

/** The Basic header for a user name and password, if there are any. */
export function basicHeader(credentials: Credentials): string | undefined {
  if (credentials.username === undefined) return undefined;
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password ?? ""}`).toString("base64")}`;
}
