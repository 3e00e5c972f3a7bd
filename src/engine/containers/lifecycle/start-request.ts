import type { ContainerContext } from "../context.ts";
import { refuseCircle } from "../dependencies.ts";
import { type StartChange, startContainer } from "../start/start.ts";
import { removeContainer } from "./remove.ts";

/** `docker start`: what cannot start and was made with --rm leaves nothing behind. */
export async function startOnRequest(
  context: ContainerContext,
  reference: string,
  change: StartChange = {},
): Promise<void> {
  const { id, name, definition } = context.store.resolve(reference);
  // A rename may have closed one since it was made.
  refuseCircle(context.store, name, definition.host);
  await context.locks.run(id, async () => {
    try {
      await startContainer(context, id, change);
      context.live.of(id).backoffMs = 0;
    } catch (error) {
      const record = context.store.get(id);
      if (record?.definition.host.AutoRemove && !isRunningNow(record.state.status)) {
        await removeContainer(context, record, { volumes: true });
      }
      throw error;
    }
  });
}

function isRunningNow(status: string): boolean {
  return status === "running" || status === "paused" || status === "restarting" || status === "removing";
}
