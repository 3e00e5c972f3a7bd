import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Listener, listen } from "../../base/http/listener.ts";
import { systemClock } from "../../base/lib/clock.ts";
import { conflict, messageOf } from "../../base/lib/errors.ts";
import type { Log } from "../../base/lib/log.ts";
import { tugVersion } from "../../base/lib/product.ts";
import { tryLockFile } from "../../base/sys/flock.ts";
import type { GarbageCollector } from "../../registry/garbage/collector.ts";
import { giveBackMemory } from "../memory.ts";
import { notifyServiceManager } from "../notify.ts";
import { adjustableLog } from "../reload.ts";
import { stopSignal } from "../stop-signal.ts";
import { composeRegistry } from "./compose.ts";
import type { RegistryConfig } from "./config.ts";
import { serveControl } from "./control.ts";

/** Requests under way at the end have this long. */
const graceMs = 10_000;
const firstCollectionMs = 60_000;

/** The registry's root, ours alone; undefined when another process has it. */
export function lockRoot(root: string): Disposable | undefined {
  mkdirSync(root, { recursive: true, mode: 0o700 });
  return tryLockFile(join(root, "registry.lock"));
}

/** Serves until SIGTERM or SIGINT; SIGHUP reads certificates again. Returns the exit code. */
export async function serveRegistry(config: RegistryConfig): Promise<number> {
  const { log } = adjustableLog(config.logLevel);
  const stopped = stopSignal(log);
  await using stack = new AsyncDisposableStack();
  const lock = lockRoot(config.root);
  if (!lock) throw conflict(`another registry is running with root ${config.root}`);
  stack.use(lock);
  const registry = stack.use(composeRegistry(config, { clock: systemClock, log }));
  const listeners = listenAll(config, registry, log);
  listeners.push(serveControl(config.root, registry.collector, log));
  stack.defer(async () => void (await Promise.all(listeners.map((listener) => listener.close(graceMs)))));
  stack.use(collectRegularly(config, registry.collector, log));
  stack.use(giveBackMemory());
  process.on("SIGHUP", () => reload(listeners, log));
  for (const listener of listeners) log.debug("listens", { address: listener.url });
  log.info("registry serves", { address: listeners[0]?.url, root: config.root, version: tugVersion });
  notifyServiceManager("READY=1");
  const signal = await stopped;
  log.info("processing signal", { signal });
  notifyServiceManager("STOPPING=1");
  await stack.disposeAsync();
  log.info("registry shutdown complete");
  return 0;
}

function listenAll(
  config: RegistryConfig,
  registry: {
    readonly handler: Parameters<typeof listen>[1]["handler"];
    readonly metricsHandler: Parameters<typeof listen>[1]["handler"];
  },
  log: Log,
): Listener[] {
  const { connections, headSeconds, idleSeconds } = config.limits;
  const common = { log, limits: { headSeconds, idleSeconds }, maxConnections: connections };
  const open: Listener[] = [];
  const add = (
    address: RegistryConfig["listen"][number],
    handler: typeof registry.handler,
    tls: RegistryConfig["tls"],
  ) => {
    if (address.kind === "fd") return;
    const where =
      address.kind === "unix"
        ? ({ kind: "unix", path: address.path, mode: 0o660 } as const)
        : ({ kind: "tcp", host: address.host, port: address.port, tls } as const);
    open.push(listen(where, { ...common, handler }));
  };
  try {
    for (const address of config.listen) add(address, registry.handler, config.tls);
    if (config.metricsListen) add(config.metricsListen, registry.metricsHandler, undefined);
    return open;
  } catch (error) {
    for (const listener of open) listener.close(0).catch(() => undefined); // the first failure is the one to tell
    throw error;
  }
}

function reload(listeners: readonly Listener[], log: Log): void {
  try {
    for (const listener of listeners) listener.reload();
    log.info("certificates were read again");
  } catch (error) {
    log.error("the certificates were not read again, the old ones stay", { error: messageOf(error) });
  }
}

/**
 * Collects garbage at intervals. A process that was killed may have left bytes that no record names: a mark in the root says so, and
 * the first collection looks for them.
 */
function collectRegularly(config: RegistryConfig, collector: GarbageCollector, log: Log): AsyncDisposable {
  const mark = join(config.root, "running");
  let orphans = existsSync(mark);
  writeFileSync(mark, "", { mode: 0o600 });
  const stop = new AbortController();
  const { intervalMs } = config.garbage;
  const work = async () => {
    for (
      let wait = Math.min(firstCollectionMs, intervalMs ?? 0);
      intervalMs !== undefined;
      wait = intervalMs
    ) {
      try {
        await systemClock.sleep(wait, stop.signal);
        await collector.collect({ dryRun: false, orphans, signal: stop.signal });
        orphans = false;
      } catch (error) {
        if (stop.signal.aborted) return;
        log.error("garbage collection failed", { error: messageOf(error) });
      }
    }
  };
  const done = work();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort(new Error("the registry stops"));
      await done;
      if (!orphans) rmSync(mark, { force: true });
    },
  };
}
