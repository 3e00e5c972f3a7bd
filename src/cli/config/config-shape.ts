import { jsonKind } from "../../base/lib/json-kind.ts";

/** One registry's entry under `auths`: `auth` is base64 of user:password. */
export interface StoredAuth {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

export interface ProxySettings {
  readonly httpProxy?: string;
  readonly httpsProxy?: string;
  readonly ftpProxy?: string;
  readonly noProxy?: string;
  readonly allProxy?: string;
}

/** What Tug reads of Docker's client configuration; everything else is kept as it is when the file is written. */
export interface ConfigData {
  readonly auths?: Readonly<Record<string, StoredAuth>>;
  readonly credsStore?: string;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly HttpHeaders?: Readonly<Record<string, string>>;
  readonly psFormat?: string;
  readonly imagesFormat?: string;
  readonly networksFormat?: string;
  readonly volumesFormat?: string;
  readonly statsFormat?: string;
  readonly detachKeys?: string;
  readonly proxies?: Readonly<Record<string, ProxySettings>>;
  readonly currentContext?: string;
  readonly pruneFilters?: readonly string[];
}

type Shape = "text" | "texts" | "list" | "logins" | "proxies";

const shapes: Readonly<Record<keyof ConfigData, Shape>> = {
  auths: "logins",
  credsStore: "text",
  credHelpers: "texts",
  HttpHeaders: "texts",
  psFormat: "text",
  imagesFormat: "text",
  networksFormat: "text",
  volumesFormat: "text",
  statsFormat: "text",
  detachKeys: "text",
  proxies: "proxies",
  currentContext: "text",
  pruneFilters: "list",
};

/** As Go's decoder calls what Docker's client reads there. */
const goTypes: Readonly<Record<Shape, string>> = {
  text: "string",
  texts: "map[string]string",
  list: "[]string",
  logins: "map[string]types.AuthConfig",
  proxies: "map[string]configfile.ProxyConfig",
};

/** The members of an entry that are read; others may be anything. */
const members: Readonly<Record<"logins" | "proxies", readonly string[]>> = {
  logins: ["auth", "username", "password", "identitytoken", "registrytoken"],
  proxies: ["httpProxy", "httpsProxy", "ftpProxy", "noProxy", "allProxy"],
};

/**
 * What can be used of a parsed config.json, and why the rest cannot, in Docker's words. Docker keeps the other keys, too. `null` is
 * nothing, as for Go.
 */
export function usableConfig(parsed: Readonly<Record<string, unknown>>): {
  readonly data: ConfigData;
  readonly problem?: string;
} {
  let problem: string | undefined;
  const data = { ...parsed };
  for (const [key, shape] of Object.entries(shapes)) {
    const value = parsed[key];
    if (value === undefined) continue;
    const wrong = value === null ? undefined : wrongIn(key, value, shape);
    if (value !== null && wrong === undefined) continue;
    delete data[key];
    problem ??= wrong;
  }
  return problem === undefined ? { data } : { data, problem };
}

function wrongIn(key: string, value: unknown, shape: Shape): string | undefined {
  const field = `ConfigFile.${key}`;
  if (shape === "text") return typeof value === "string" ? undefined : mismatch(value, field, "string");
  if (jsonKind(value) !== (shape === "list" ? "array" : "object"))
    return mismatch(value, field, goTypes[shape]);
  if (shape === "logins" || shape === "proxies") return wrongEntry(key, value as object, shape);
  for (const [name, one] of Object.entries(value as object)) {
    if (typeof one !== "string") return mismatch(one, `${field}.${name}`, "string");
    if (key === "HttpHeaders" && !(/^[\w!#$%&'*+.^`|~-]+$/.test(name) && !/\p{Cc}/u.test(one)))
      return `${field}: ${JSON.stringify(name)} is no header field, or its value is none`;
  }
  return undefined;
}

function wrongEntry(key: string, entries: object, shape: "logins" | "proxies"): string | undefined {
  for (const [name, entry] of Object.entries(entries)) {
    if (entry === null) continue;
    if (jsonKind(entry) !== "object")
      return mismatch(entry, `ConfigFile.${key}.${name}`, goTypes[shape].replace("map[string]", ""));
    for (const member of members[shape]) {
      const one: unknown = (entry as Readonly<Record<string, unknown>>)[member];
      if (one !== undefined && one !== null && typeof one !== "string")
        return mismatch(one, `ConfigFile.${key}.${name}.${member}`, "string");
    }
  }
  return undefined;
}

const mismatch = (value: unknown, field: string, type: string) =>
  `json: cannot unmarshal ${jsonKind(value)} into Go struct field ${field} of type ${type}`;
