import { messageOf, TugError } from "../../base/lib/errors.ts";

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

export interface ConfigFile {
  readonly folder: string;
  readonly path: string;
  readonly data: ConfigData;
  /** Why the file that is there could not be used; then `data` is empty, and the file must not be written over. */
  readonly damage?: TugError;
}

/**
 * Loads `config.json` from `--config`, DOCKER_CONFIG or ~/.docker; a missing file is an empty one. One that cannot be
 * read or parsed is too, with its `damage`: as with Docker it costs a warning, not the command.
 */
export async function loadConfig(
  env: Readonly<Record<string, string | undefined>>,
  folderOption: string | undefined,
): Promise<ConfigFile> {
  const folder = folderOption ?? (env["DOCKER_CONFIG"] || `${env["HOME"] ?? "/root"}/.docker`);
  const path = `${folder}/config.json`;
  let text: string;
  try {
    text = await Bun.file(path).text();
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR")) {
      return { folder, path, data: {} };
    }
    return { folder, path, data: {}, damage: damaged("loading config file:", `${path}:`, error) };
  }
  if (text.trim() === "") return { folder, path, data: {} };
  try {
    const data: unknown = JSON.parse(text);
    if (typeof data !== "object" || data === null || Array.isArray(data))
      throw new Error("not a JSON object");
    return { folder, path, data };
  } catch (cause) {
    return { folder, path, data: {}, damage: damaged("parsing config file", `(${path}):`, cause) };
  }
}

const damaged = (what: string, path: string, cause: unknown) =>
  new TugError("invalid-argument", `Error ${what} ${path} ${messageOf(cause)}`, { cause });
