import { join } from "node:path";
import type { Handler } from "../../base/http/exchange.ts";
import { type Listener, listen } from "../../base/http/listener.ts";
import { messageOf, TugError } from "../../base/lib/errors.ts";
import type { Log } from "../../base/lib/log.ts";
import type { CollectOptions, GarbageCollector, GarbageReport } from "../../registry/garbage/collector.ts";

const socketOf = (root: string) => join(root, "control.sock");

/** Lets `tug registry gc` have the running registry collect; only the user the registry runs as may connect. */
export function serveControl(root: string, collector: GarbageCollector, log: Log): Listener {
  const handler: Handler = async (exchange) => {
    if (exchange.method !== "POST" || exchange.path !== "/gc") return exchange.send(404, {});
    const query = new URLSearchParams(exchange.search);
    try {
      const report = await collector.collect({
        dryRun: query.has("dry-run"),
        orphans: query.has("orphans"),
        signal: exchange.signal,
      });
      exchange.send(200, { "Content-Type": "application/json" }, JSON.stringify(report));
    } catch (error) {
      exchange.send(
        500,
        { "Content-Type": "application/json" },
        JSON.stringify({ message: messageOf(error) }),
      );
    }
  };
  return listen({ kind: "unix", path: socketOf(root), mode: 0o600 }, { handler, log });
}

/** Asks the registry that runs on this root. Throws unavailable when it does not answer. */
export async function collectByServer(root: string, options: CollectOptions): Promise<GarbageReport> {
  const query = new URLSearchParams();
  if (options.dryRun) query.set("dry-run", "1");
  if (options.orphans) query.set("orphans", "1");
  const response = await fetch(`http://registry/gc?${query}`, {
    method: "POST",
    unix: socketOf(root),
    timeout: false,
  } as BunFetchRequestInit).catch((error: unknown) => {
    throw new TugError(
      "unavailable",
      `another process uses ${root}, and no registry answers there: ${messageOf(error)}`,
      { cause: error },
    );
  });
  const body = (await response.json()) as GarbageReport & { message?: string };
  if (response.ok) return body;
  throw new TugError("internal", `garbage collection failed: ${body.message ?? response.status}`);
}
