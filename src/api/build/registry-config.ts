import { invalid } from "../../base/lib/errors.ts";
import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import { credentialsShape } from "../decode/credentials.ts";
import { decode, map } from "../decode/shape.ts";

/** The X-Registry-Config header: credentials by registry host; Docker Hub is "https://index.docker.io/v1/". */
export function registryConfig(
  headers: ReadonlyMap<string, string>,
): (host: string) => AuthConfig | undefined {
  const text = headers.get("x-registry-config");
  if (text === undefined || text === "") return () => undefined;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, "base64url").toString());
  } catch (error) {
    throw invalid("invalid X-Registry-Config header: must be a base64url-encoded JSON object", error);
  }
  const byHost = new Map(
    Object.entries(decode(map(credentialsShape), value ?? {}, "AuthConfigs")).map(([name, credentials]) => [
      hostOf(name),
      credentials,
    ]),
  );
  return (host) => byHost.get(hostOf(host));
}

function hostOf(name: string): string {
  const host = name.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return host === "index.docker.io" || host === "registry-1.docker.io" ? "docker.io" : host;
}
