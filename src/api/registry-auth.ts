import { invalid } from "../base/lib/errors.ts";
import type { AuthConfig } from "../base/spec/docker/auth-config.ts";
import { credentialsShape } from "./decode/credentials.ts";
import { decode } from "./decode/shape.ts";

/** The X-Registry-Auth header: base64url of a JSON object, padded or not. */
export function registryAuth(headers: ReadonlyMap<string, string>): AuthConfig | undefined {
  const text = headers.get("x-registry-auth");
  if (text === undefined || text === "") return undefined;
  // Standard base64 too: old clients send it, and its two extra characters are unmistakable.
  if (!/^[A-Za-z0-9_\-+/]*={0,2}$/.test(text)) {
    throw invalid("invalid X-Registry-Auth header: must be a valid base64url-encoded JSON object");
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, "base64url").toString());
  } catch (error) {
    throw invalid("invalid X-Registry-Auth header: must be a valid base64url-encoded JSON object", error);
  }
  const credentials = decode(credentialsShape, value ?? {}, "AuthConfig");
  return Object.keys(credentials).length === 0 ? undefined : credentials;
}
