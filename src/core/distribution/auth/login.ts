import { isCode, messageOf, TugError } from "../../../base/lib/errors.ts";
import type { AuthConfig } from "../../../base/spec/docker/auth-config.ts";
import { withHint } from "../hint.ts";
import type { Connections } from "../http/connections.ts";
import { statusLine } from "../http/registry-error.ts";
import type { Session } from "../http/session.ts";
import { requestPrefix } from "../http/transport-error.ts";
import { credentialsOf } from "./credentials.ts";

/** "https://index.docker.io/v1/", "registry.example:5000" or "" -> the domain of image names there. */
export function loginDomain(server: string): string {
  const host = server.replace(/^https?:\/\//, "").split("/")[0] ?? "";
  return host === "" || host === "index.docker.io" || host === "registry-1.docker.io" ? "docker.io" : host;
}

/** Proves credentials at a registry; a token server may give an identity token to keep instead of the password. */
export async function login(
  connections: Connections,
  server: string,
  auth: AuthConfig,
  signal: AbortSignal | undefined,
): Promise<{ readonly status: string; readonly identityToken?: string }> {
  const status = "Login Succeeded";
  const attempted = { action: "login", domain: loginDomain(server) } as const;
  let last: unknown;
  for (const endpoint of await connections.homes(loginDomain(server))) {
    const session = connections.open(endpoint, credentialsOf(auth), []);
    try {
      await session.ping(signal);
      const identityToken = await prove(session, signal);
      return identityToken === undefined ? { status } : { status, identityToken };
    } catch (error) {
      // Refused is refused: the password is not tried again over a plainer connection.
      if (isCode(error, "unauthorized") || isCode(error, "cancelled")) throw withHint(error, attempted);
      last = error;
    }
  }
  throw withHint(last, attempted);
}

async function prove(session: Session, signal: AbortSignal | undefined): Promise<string | undefined> {
  const url = `${session.endpoint.api}/`;
  const bearer = session.challenges.find((each) => each.scheme === "bearer");
  let refresh: string | undefined;
  if (bearer) {
    try {
      const reply = await session.authorizer.fetchToken(bearer, [], { offline: true, signal });
      session.authorizer.keep(bearer, [], reply);
      refresh = reply.refreshToken;
    } catch (error) {
      if (!isCode(error, "unauthorized")) throw error;
      throw new TugError("unauthorized", `${requestPrefix("GET", url)}${messageOf(error)}`, { cause: error });
    }
  }
  using exchange = await session.send({ method: "GET", path: "/v2/", expect: [200, 401, 403], signal });
  if (exchange.response.status === 200) return refresh;
  throw new TugError(
    "unauthorized",
    `login attempt to ${url} failed with status: ${statusLine(exchange.response)}`,
  );
}
