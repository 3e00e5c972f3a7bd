import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A signed JSON Web Token (RFC 7519). */
export function mintToken(
  key: KeyObject,
  algorithm: string,
  claims: Readonly<Record<string, unknown>>,
): string {
  const text = `${encode({ alg: algorithm, typ: "JWT" })}.${encode(claims)}`;
  const signature = sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

/**
 * A token server of a registry's (Docker token authentication, OAuth 2.0): a password is good for a refresh token once, and from then on refresh
 * tokens for what repositories are asked for.
 *
 *     using tokens = new TokenServer({ ann: "secret" });
 *     TugRegistry.start({ flags: tokens.registryFlags(keyFile) })
 */
export class TokenServer implements Disposable {
  /** PEM of the key that tokens are checked with. */
  readonly publicKey: string;
  /** What was granted: the kind of grant, for whom, and the scopes. */
  readonly grants: string[] = [];
  /** Refresh tokens that are good, with whose they are. */
  readonly refreshTokens = new Map<string, string>();
  readonly #key: KeyObject;
  readonly #users: Readonly<Record<string, string>>;
  readonly #server: Bun.Server<undefined>;

  constructor(users: Readonly<Record<string, string>>) {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.#key = privateKey;
    this.publicKey = publicKey.export({ format: "pem", type: "spki" }).toString();
    this.#users = users;
    this.#server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request) => this.#answer(request) });
  }

  /** Of `tug registry serve`, for a registry that takes this server's tokens. */
  registryFlags(keyFile: string): readonly string[] {
    const realm = `http://127.0.0.1:${this.#server.port}/token`;
    return [
      ...["--token-realm", realm, "--token-service", service],
      ...["--token-issuer", issuer, "--token-key", keyFile],
    ];
  }

  /** A token for these scopes that nobody asked for. */
  token(user: string, scopes: readonly string[]): string {
    const now = Math.floor(Date.now() / 1000);
    const access = scopes.flatMap((scope) => {
      const [, type, name, actions] = /^(\w+):(.+):([\w,*]+)$/.exec(scope) ?? [];
      return type === undefined ? [] : [{ type, name, actions: actions?.split(",") }];
    });
    const claims = { iss: issuer, aud: service, sub: user, nbf: now - 60, exp: now + 300, access };
    return mintToken(this.#key, "ES256", claims);
  }

  async #answer(request: Request): Promise<Response> {
    const { searchParams } = new URL(request.url);
    if (request.method === "POST") {
      const form = new URLSearchParams(await request.text());
      const user = this.refreshTokens.get(form.get("refresh_token") ?? "");
      if (form.get("grant_type") !== "refresh_token" || user === undefined) return refused();
      return this.#grant("refresh", user, (form.get("scope") ?? "").split(" "));
    }
    const basic = Buffer.from(request.headers.get("authorization")?.slice("Basic ".length) ?? "", "base64");
    const [user = "", password] = basic.toString().split(":");
    if (password === undefined || this.#users[user] !== password) return refused();
    return this.#grant("password", user, searchParams.getAll("scope"));
  }

  #grant(kind: string, user: string, scopes: readonly string[]): Response {
    this.grants.push(`${kind} ${user} ${scopes.join(" ")}`.trim());
    const refresh = `refresh-${crypto.randomUUID()}`;
    if (kind === "password") this.refreshTokens.set(refresh, user);
    return Response.json({
      access_token: this.token(user, scopes),
      expires_in: 300,
      ...(kind === "password" && { refresh_token: refresh }),
    });
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }
}

const issuer = "issuer.test";
const service = "registry.test";

function refused(): Response {
  const errors = [{ code: "UNAUTHORIZED", message: "authentication required" }];
  return Response.json({ errors }, { status: 401 });
}
