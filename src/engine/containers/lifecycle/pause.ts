import { conflict } from "../../../base/lib/errors.ts";
import type { ContainerContext } from "../context.ts";
import { emitContainer } from "../events.ts";
import { isAlive } from "../record.ts";

export async function pauseContainer(context: ContainerContext, reference: string): Promise<void> {
  const { id } = context.store.resolve(reference);
  await context.locks.run(id, async () => {
    const record = context.store.resolve(id);
    if (record.state.status === "restarting") {
      throw conflict(`Container ${id} is restarting, wait until the container is running`);
    }
    if (!isAlive(record)) throw conflict(`Container ${id} is not running`);
    if (record.state.status === "paused") throw conflict(`Container ${id} is already paused`);
    await context.runtime.pause(id);
    emitContainer(context, context.store.setState(id, { status: "paused" }), "pause");
  });
}

export async function unpauseContainer(context: ContainerContext, reference: string): Promise<void> {
  const { id } = context.store.resolve(reference);
  await context.locks.run(id, async () => {
    const record = context.store.resolve(id);
    if (record.state.status !== "paused") throw conflict(`Container ${id} is not paused`);
    await context.runtime.resume(id);
    emitContainer(context, context.store.setState(id, { status: "running" }), "unpause");
  });
}
