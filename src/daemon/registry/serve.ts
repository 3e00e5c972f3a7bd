import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { listen } from "../../base/http/listener.ts";
import { systemClock } from "../../base/lib/clock.ts";
import { FileContentStore } from "../../core/content/file-store.ts";
import { openAccess } from "../../registry/auth/access.ts";
import { openRegistry } from "../../registry/registry.ts";
import { fileStorage } from "../../registry/storage/file-storage.ts";
import { adjustableLog } from "../reload.ts";

export async function serve(args: readonly string[]): Promise<number> {
  const root = args[0] ?? "/tmp/registry/root";
  const port = Number(args[1] ?? 5555);
  const { log } = adjustableLog("info");
  mkdirSync(root, { recursive: true, mode: 0o700 });
  await using registry = openRegistry({
    root,
    storage: fileStorage(new FileContentStore({ root: join(root, "content") })),
    access: openAccess,
    quotas: [],
    settings: { readOnly: false, deleteEnabled: true, graceMs: 3600_000, stallMs: 60_000, pages: true },
    clock: systemClock,
    log,
  });
  const listener = listen({ kind: "tcp", host: "127.0.0.1", port }, { handler: registry.handler, log });
  log.info("registry listens", { address: listener.url });
  await new Promise<void>((resolve) => {
    process.on("SIGTERM", () => resolve());
    process.on("SIGINT", () => resolve());
  });
  await listener.close(2000);
  return 0;
}
