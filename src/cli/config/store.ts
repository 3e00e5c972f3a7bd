import { chmodSync, existsSync, mkdirSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { invalid, messageOf } from "../../base/lib/errors.ts";
import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import type { Context } from "../context.ts";
import type { ConfigFile } from "./config-file.ts";
import type { ConfigData, StoredAuth } from "./config-shape.ts";
import { helperErase, helperStore } from "./credential-helper.ts";
import { helperOf } from "./credentials.ts";

/** Writes the configuration in one step, so that a reader never sees half of it; a link stays a link. */
function writeConfig(config: ConfigFile, data: ConfigData): void {
  if (config.damage) throw config.damage; // what a person can still mend is not written over
  mkdirSync(config.folder, { recursive: true, mode: 0o700 });
  const path = existsSync(config.path) ? realpathSync(config.path) : config.path;
  const fresh = `${dirname(path)}/.config.json.${process.pid}`;
  try {
    writeFileSync(fresh, `${JSON.stringify(data, undefined, "\t")}\n`, { mode: 0o600 });
    chmodSync(fresh, 0o600);
    renameSync(fresh, path);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
}

/** Keeps credentials: in the helper where one is configured, else in the file, with a warning. */
export async function storeAuth(
  context: Context,
  config: ConfigFile,
  server: string,
  auth: AuthConfig,
): Promise<void> {
  const helper = helperOf(config, [server]);
  if (helper) {
    try {
      await helperStore(helper, server, auth);
    } catch (error) {
      throw invalid(`Error saving credentials: ${messageOf(error)}`, error);
    }
    writeConfig(config, { ...config.data, auths: { ...config.data.auths, [server]: {} } });
    return;
  }
  const entry: StoredAuth = auth.identitytoken
    ? { auth: Buffer.from(`${auth.username ?? ""}:`).toString("base64"), identitytoken: auth.identitytoken }
    : { auth: Buffer.from(`${auth.username ?? ""}:${auth.password ?? ""}`).toString("base64") };
  const known = config.data.auths?.[server];
  // What is there already needs neither a write nor another warning.
  if (known && known.auth === entry.auth && (known.identitytoken ?? "") === (entry.identitytoken ?? ""))
    return;
  writeConfig(config, { ...config.data, auths: { ...config.data.auths, [server]: entry } });
  await context.err.write(
    `\nWARNING! Your credentials are stored unencrypted in '${config.path}'.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n\n`,
  );
}

/** Forgets the credentials stored under any of these names; gives the failures by name. Names whose helper failed stay in the file. */
export async function eraseAuth(
  config: ConfigFile,
  keys: readonly string[],
): Promise<ReadonlyMap<string, unknown>> {
  const failures = new Map<string, unknown>();
  for (const key of keys) {
    const helper = helperOf(config, [key]);
    try {
      if (helper) await helperErase(helper, key);
    } catch (error) {
      failures.set(key, error);
    }
  }
  const gone = keys.filter((key) => !failures.has(key));
  const before = Object.entries(config.data.auths ?? {});
  const kept = before.filter(([key]) => !gone.includes(key));
  if (kept.length < before.length) writeConfig(config, { ...config.data, auths: Object.fromEntries(kept) });
  return failures;
}
