import { messageOf, TugError } from "../../base/lib/errors.ts";
import { systemText } from "../../base/lib/system-text.ts";
import { type ConfigData, usableConfig } from "./config-shape.ts";
import { readSettings } from "./read-settings.ts";

export interface ConfigFile {
  readonly folder: string;
  readonly path: string;
  readonly data: ConfigData;
  /** Why the file that is there, or a part of it, could not be used: `data` is without it, and the file must not be written over. */
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
    text = await readSettings(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR")) {
      return { folder, path, data: {} };
    }
    return {
      folder,
      path,
      data: {},
      damage: damaged("loading config file:", `${path}:`, systemText(error), error),
    };
  }
  if (text.trim() === "") return { folder, path, data: {} };
  const unusable = (reason: string, cause?: unknown) =>
    damaged("parsing config file", `(${path}):`, reason, cause);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    return { folder, path, data: {}, damage: unusable(await faultOf(text, cause), cause) };
  }
  if (parsed === null) return { folder, path, data: {} };
  if (typeof parsed !== "object" || Array.isArray(parsed))
    return { folder, path, data: {}, damage: unusable("not a JSON object") };
  const { data, problem } = usableConfig(parsed as Readonly<Record<string, unknown>>);
  return { folder, path, data, ...(problem === undefined ? {} : { damage: unusable(problem) }) };
}

/** Where the text is no JSON: `JSON.parse` does not say, and what does is not needed otherwise. */
async function faultOf(text: string, error: unknown): Promise<string> {
  const { readJsonText } = await import("../../base/lib/json-text.ts");
  try {
    readJsonText(text);
  } catch (fault) {
    return messageOf(fault);
  }
  return messageOf(error);
}

const damaged = (what: string, path: string, reason: string, cause: unknown) =>
  new TugError("invalid-argument", `Error ${what} ${path} ${reason}`, cause === undefined ? {} : { cause });
