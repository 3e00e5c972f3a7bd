import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { createApi } from "../api/server.ts";
import { invalid } from "../base/lib/errors.ts";
import type { Log } from "../base/lib/log.ts";
import { tugVersion } from "../base/lib/product.ts";
import { AdoptedChildren } from "../base/sys/process/adopted-children.ts";
import { buildRoutes } from "./build/routes.ts";
import { loadConfig } from "./config/config.ts";
import type { OptionValues } from "./config/values.ts";
import { tellingDamage } from "./damaged-databases.ts";
import { composeEngine, type Engine } from "./engine/compose.ts";
import { lockDataRoot, writePidFile } from "./exclusive.ts";
import { listenAll } from "./listen.ts";
import { giveBackMemory } from "./memory.ts";
import { serveMetrics } from "./metrics.ts";
import { notifyServiceManager } from "./notify.ts";
import { adjustableLog, type LiveConfig, reloadConfig } from "./reload.ts";
import { stopSignal } from "./stop-signal.ts";
import { UncleanStop } from "./unclean-stop.ts";

/**
 * Runs until SIGTERM or SIGINT. Order: exclusive use of the roots, stores, recovery of what ran before, and only then the
 * sockets: no client ever sees a half-recovered daemon. Stopping leaves containers, their networks and logs as they are.
 */
export async function runDaemon(flags: OptionValues): Promise<number> {
  // As dockerd does: what is made for containers has the modes that were asked for, whatever shell the daemon was started from.
  process.umask(0o022);
  const config: LiveConfig = loadConfig(flags);
  const { log, setLevel } = adjustableLog(config.logLevel, config.logFormat);
  const stopped = stopSignal(log);
  // One that comes while the daemon starts must not end it, and counts as soon as it runs: the file was read before.
  const hangUps: { early: boolean; reload?: () => void } = { early: false };
  process.on("SIGHUP", () => {
    if (hangUps.reload) hangUps.reload();
    else hangUps.early = true;
  });
  for (const option of config.ignored)
    log.warn(`the option ${option} has no effect here and can be left out`, { option });
  for (const key of config.repeated)
    log.warn("a key is in the configuration file more than once, the last one counts", {
      key,
      file: config.configFile,
    });
  await using stack = new AsyncDisposableStack();
  stack.use(new AdoptedChildren());
  // Nobody but root may look in: layers hold set-uid programs (CVE-2021-41091).
  mkdirSync(config.dataRoot, { recursive: true, mode: 0o700 });
  chmodSync(config.dataRoot, 0o700);
  mkdirSync(config.execRoot, { recursive: true, mode: 0o755 });
  stack.use(await lockDataRoot(config.dataRoot));
  stack.use(writePidFile(config.pidFile));
  const { machineWentDown } = stack.use(new UncleanStop(config.dataRoot));
  adjustOomScore(config.oomScoreAdjust, log);
  const refused = (error: unknown) => Promise.reject(tellingDamage(error, config.dataRoot));
  const engine = stack.use(await composeEngine(config, log).catch(refused));
  const api = createApi({
    backends: engine.backends,
    about: {
      version: tugVersion,
      // Clients choose the protocol by it; SIGHUP may change it.
      get builder() {
        return config.features["buildkit"] === false ? ("1" as const) : ("2" as const);
      },
      experimental: config.experimental,
    },
    log,
    routes: buildRoutes(engine.builder, log),
  });
  const startWanted = await engine.recover({ machineWentDown }).catch(refused);
  const listeners = [...listenAll(api, config, log)];
  if (config.metricsAddress !== undefined) {
    const info = () => engine.backends.system.info();
    listeners.push(serveMetrics(config.metricsAddress, { info, log, execRoot: config.execRoot }));
  }
  stack.defer(async () => void (await Promise.all(listeners.map((listener) => listener.close(2000)))));
  for (const listener of listeners) log.info("API listen on", { address: listener.url });
  log.info("Daemon has completed initialization", { instance: config.instance, version: tugVersion });
  notifyServiceManager("READY=1");
  if (machineWentDown) healAfterPowerCut(engine.backends.system, log);
  startWanted().catch((error: unknown) => log.error("starting containers", { error }));
  hangUps.reload = () => {
    const reloaded = reloadConfig(flags, config, { log, setLevel });
    if (!reloaded) return;
    engine.reload();
    engine.announce("reload", reloaded);
  };
  if (hangUps.early) hangUps.reload();
  stack.use(giveBackMemory());
  const signal = await stopped;
  log.info("Processing signal", { signal });
  notifyServiceManager("STOPPING=1");
  if (!config.liveRestore) await engine.stopContainers(config.shutdownTimeout);
  await stack.disposeAsync();
  log.info("Daemon shutdown complete");
  return 0;
}

/** What a power cut may have left short is brought back while the daemon serves already: a registry may take its time to answer. */
function healAfterPowerCut(system: Engine["backends"]["system"], log: Log): void {
  log.info("the machine went down under the last daemon: looking through what is stored");
  system
    .check({ quick: true, repair: true }, new AbortController().signal)
    .then(({ Findings, Checked }) => {
      for (const { Kind, Name, Problem, Consequence, Remedy, Repaired, Outcome } of Findings) {
        const about = { kind: Kind, name: Name, problem: Problem, outcome: Outcome };
        if (Repaired) log.warn("repaired after the machine went down", about);
        else
          log.error("not as it should be after the machine went down", {
            ...about,
            consequence: Consequence,
            remedy: Remedy,
          });
      }
      log.info("looked through what is stored", { findings: Findings.length, ...Checked });
    })
    .catch((error: unknown) => log.error("looking through what is stored", { error }));
}

/** `--oom-score-adjust`: how gladly the kernel kills this process for want of memory. */
function adjustOomScore(score: number | undefined, log: Log): void {
  if (score === undefined) return;
  try {
    writeFileSync("/proc/self/oom_score_adj", String(score));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EACCES" && code !== "EPERM")
      throw invalid("write /proc/self/oom_score_adj: invalid argument", error);
    log.warn("could not lower oom_score_adj: CAP_SYS_RESOURCE is missing", { score });
  }
}
