import { messageOf } from "../base/lib/errors.ts";
import type { Log } from "../base/lib/log.ts";

/** Resolves at the first request to stop. What nobody caught is logged and the process goes on serving. */
export function stopSignal(log: Log): Promise<string> {
  const unexpected = (kind: string) => (error: unknown) =>
    log.error(kind, { error: messageOf(error), stack: error instanceof Error ? error.stack : undefined });
  process.on("uncaughtException", unexpected("uncaught exception"));
  process.on("unhandledRejection", unexpected("unhandled rejection"));
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => resolve(signal));
  });
}
