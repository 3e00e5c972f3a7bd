import { hostname } from "node:os";
import { messageOf } from "../base/lib/errors.ts";
import { createLog, type Log, type LogFormat, type LogLevel } from "../base/lib/log.ts";
import { type DaemonConfig, loadConfig } from "./config/config.ts";
import type { OptionValues } from "./config/values.ts";

/** A log whose level can be changed while it is in use. */
export function adjustableLog(
  level: LogLevel,
  format: LogFormat = "text",
): { readonly log: Log; setLevel(level: LogLevel): void } {
  const make = (at: LogLevel) => createLog(at, undefined, {}, format);
  let current = make(level);
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
      current = make(next);
    },
  };
}

/** What a running daemon takes from a changed daemon.json; everything else waits for its next start. */
export type LiveConfig = Omit<DaemonConfig, ReloadedKey> & {
  -readonly [Key in ReloadedKey]: DaemonConfig[Key];
};
/** dockerd's, by the name that its reload event gives them, and the builder's settings. */
const reloaded = {
  debug: "debug",
  labels: "labels",
  "insecure-registries": "insecureRegistries",
  "registry-mirrors": "registryMirrors",
  "max-concurrent-downloads": "maxConcurrentDownloads",
  "max-concurrent-uploads": "maxConcurrentUploads",
  "max-download-attempts": "maxDownloadAttempts",
  "live-restore": "liveRestore",
  "shutdown-timeout": "shutdownTimeout",
  "default-runtime": "defaultRuntime",
  runtimes: "runtimes",
  "default-shm-size": "shmSize",
  "default-ipc-mode": "ipcMode",
  features: "features",
  builder: "builder",
} as const satisfies Readonly<Record<string, keyof DaemonConfig>>;
type ReloadedKey = (typeof reloaded)[keyof typeof reloaded];

/** SIGHUP: reads daemon.json again. A file that is wrong changes nothing. Returns the attributes of the reload event. */
export function reloadConfig(
  flags: OptionValues,
  live: LiveConfig,
  parts: { readonly log: Log; readonly setLevel: (level: LogLevel) => void },
): Readonly<Record<string, string>> | undefined {
  let config: DaemonConfig;
  try {
    // Everything stands still while it is read.
    config = loadConfig(flags, 500);
  } catch (error) {
    parts.log.error("the configuration was not reloaded", { error: messageOf(error) });
    return undefined;
  }
  parts.setLevel(config.logLevel);
  Object.assign(live, Object.fromEntries(Object.values(reloaded).map((key) => [key, config[key]])));
  parts.log.info("Reloaded configuration", { file: config.configFile });
  const shown = Object.entries(reloaded).map(([name, key]) => [name, show(config[key])]);
  return { name: hostname(), ...Object.fromEntries(shown) };
}

function show(value: DaemonConfig[ReloadedKey]): string {
  if (typeof value === "object") return JSON.stringify(value);
  return value === undefined ? "" : String(value);
}
