import { hostname } from "node:os";
import { messageOf } from "../base/lib/errors.ts";
import { createLog, type Log, type LogLevel } from "../base/lib/log.ts";
import { type DaemonConfig, loadConfig } from "./config/config.ts";
import type { OptionValues } from "./config/values.ts";

/** A log whose level can be changed while it is in use. */
export function adjustableLog(level: LogLevel): { readonly log: Log; setLevel(level: LogLevel): void } {
  let current = createLog(level);
  const log = (fields: Record<string, unknown> | undefined): Log => {
    const to = () => (fields ? current.with(fields) : current);
    return {
      debug: (message, more) => to().debug(message, more),
      info: (message, more) => to().info(message, more),
      warn: (message, more) => to().warn(message, more),
      error: (message, more) => to().error(message, more),
      with: (more) => log({ ...fields, ...more }),
    };
  };
  return {
    log: log(undefined),
    setLevel: (next) => {
      current = createLog(next);
    },
  };
}

/** What a running daemon takes from a changed daemon.json; everything else waits for its next start. */
export type LiveConfig = Omit<DaemonConfig, ReloadedKey> & {
  -readonly [Key in ReloadedKey]: DaemonConfig[Key];
};
type ReloadedKey = "debug" | "labels" | "insecureRegistries" | "registryMirrors";

/** SIGHUP: reads daemon.json again. A file that is wrong changes nothing. Returns the attributes of the reload event. */
export function reloadConfig(
  flags: OptionValues,
  live: LiveConfig,
  parts: { readonly log: Log; readonly setLevel: (level: LogLevel) => void },
): Readonly<Record<string, string>> | undefined {
  let config: DaemonConfig;
  try {
    config = loadConfig(flags);
  } catch (error) {
    parts.log.error("the configuration was not reloaded", { error: messageOf(error) });
    return undefined;
  }
  parts.setLevel(config.logLevel);
  live.debug = config.debug;
  live.labels = config.labels;
  live.insecureRegistries = config.insecureRegistries;
  live.registryMirrors = config.registryMirrors;
  parts.log.info("Reloaded configuration", { file: config.configFile });
  return {
    name: hostname(),
    debug: String(config.debug),
    labels: JSON.stringify(config.labels),
    "insecure-registries": JSON.stringify(config.insecureRegistries),
    "registry-mirrors": JSON.stringify(config.registryMirrors),
  };
}
