import { createHmac, createPublicKey, type KeyObject, timingSafeEqual, verify } from "node:crypto";
import { invalid, messageOf } from "../../base/lib/errors.ts";

/** A key tokens may be signed with, and the one algorithm that goes with it (RFC 7518, 3.1): never the token's own choice. */
export interface TokenKey {
  readonly id: string | undefined;
  readonly algorithm: "RS256" | "ES256";
  readonly key: KeyObject;
}

/** Claims of a token whose signature is right; nothing of them has been judged. */
export type Claims = Readonly<Record<string, unknown>>;

/** Reads public keys: PEM (public keys or certificates, several in a file) or a JSON Web Key Set. Throws invalid-argument. */
export function parseTokenKeys(text: string, path: string): readonly TokenKey[] {
  const wrong = (why: string) => invalid(`${path}: ${why}`);
  try {
    if (text.trimStart().startsWith("{")) {
      const set = JSON.parse(text) as { keys?: unknown };
      const keys = Array.isArray(set.keys)
        ? (set.keys as readonly Record<string, unknown>[])
        : [set as Record<string, unknown>];
      return keys.map((jwk) =>
        tokenKey(
          createPublicKey({ key: jwk, format: "jwk" }),
          typeof jwk["kid"] === "string" ? jwk["kid"] : undefined,
        ),
      );
    }
    const blocks = text.match(/-----BEGIN [A-Z ]+-----[\s\S]*?-----END [A-Z ]+-----/g) ?? [];
    if (blocks.length === 0) throw wrong("no PEM block and no JSON Web Key Set");
    if (blocks.some((block) => block.includes("PRIVATE KEY"))) {
      throw wrong("it holds a private key: the registry needs, and should know, the public one only");
    }
    return blocks.map((block) => tokenKey(createPublicKey(block), undefined));
  } catch (error) {
    throw invalid(`cannot use ${path} to check tokens: ${messageOf(error)}`, error);
  }
}

function tokenKey(key: KeyObject, id: string | undefined): TokenKey {
  if (key.asymmetricKeyType === "rsa") return { id, key, algorithm: "RS256" };
  const curve = key.export({ format: "jwk" }).crv;
  if (key.asymmetricKeyType === "ec" && curve === "P-256") return { id, key, algorithm: "ES256" };
  throw invalid(
    `a key of type ${key.asymmetricKeyType} ${curve ?? ""} is none that tokens are checked with (RSA, EC P-256)`,
  );
}

/** The claims of a token that one of `keys` has signed, or undefined. */
export function verifyToken(token: string, keys: readonly TokenKey[]): Claims | undefined {
  const parts = split(token);
  if (!parts) return undefined;
  const { alg, kid } = parts.header;
  const named = keys.filter((each) => kid !== undefined && each.id === kid);
  const data = Buffer.from(parts.signed);
  for (const { key, algorithm } of named.length > 0 ? named : keys) {
    if (algorithm !== alg) continue;
    // ES256 signatures are the two numbers side by side, not DER (RFC 7518, 3.4).
    if (verify("sha256", data, { key, dsaEncoding: "ieee-p1363" }, parts.signature)) return parts.claims;
  }
  return undefined;
}

/** A token of our own, for ourselves: HMAC with a secret nobody else has. */
export function signOwnToken(claims: Claims, secret: Uint8Array): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${encode({ typ: "JWT", alg: "HS256" })}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

export function verifyOwnToken(token: string, secret: Uint8Array): Claims | undefined {
  const parts = split(token);
  if (parts?.header["alg"] !== "HS256") return undefined;
  const expected = createHmac("sha256", secret).update(parts.signed).digest();
  const right = parts.signature.length === expected.length && timingSafeEqual(parts.signature, expected);
  return right ? parts.claims : undefined;
}

function split(
  token: string,
):
  | { readonly header: Claims; readonly claims: Claims; readonly signed: string; readonly signature: Buffer }
  | undefined {
  const match = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(token);
  if (!match) return undefined;
  const [, header = "", payload = "", signature = ""] = match;
  const parts = { header: decode(header), claims: decode(payload) };
  if (!parts.header || !parts.claims) return undefined;
  return {
    header: parts.header,
    claims: parts.claims,
    signed: `${header}.${payload}`,
    signature: Buffer.from(signature, "base64url"),
  };
}

function decode(part: string): Claims | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Claims)
      : undefined;
  } catch {
    return undefined; // not a token
  }
}
