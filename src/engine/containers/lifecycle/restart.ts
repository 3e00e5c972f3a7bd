import type { ContainerContext } from "../context.ts";
import { emitContainer } from "../events.ts";
import { type ContainerRecord, isRunning } from "../record.ts";
import { startContainer } from "../start/start.ts";
import { type StopOptions, stopContainer } from "./stop.ts";
import { inTurn, neededAreBack } from "./turn.ts";

/** `docker restart`: stops when it runs, then starts; neither --rm nor the restart policy acts on the exit in between. */
export async function restartOnRequest(
  context: ContainerContext,
  reference: string,
  options: StopOptions,
): Promise<void> {
  const record = context.store.resolve(reference);
  const work = restartContainer(context, record, options);
  const live = context.live.of(record.id);
  const settled = work.catch(() => undefined); // who asked for it hears of it
  live.comingBack = settled;
  try {
    await work;
  } finally {
    if (live.comingBack === settled) live.comingBack = undefined;
  }
}

async function restartContainer(
  context: ContainerContext,
  record: ContainerRecord,
  options: StopOptions,
): Promise<void> {
  const live = context.live.of(record.id);
  const since = context.clock.monotonic();
  live.restarting++;
  try {
    if (isRunning(record)) {
      await inTurn(context, record, () => stopContainer(context, record, options));
      emitContainer(context, context.store.get(record.id) ?? record, "stop");
    }
    await neededAreBack(context, record, since);
    const started = await context.locks.run(record.id, () => startContainer(context, record.id));
    live.backoffMs = 0;
    emitContainer(context, started, "restart");
  } finally {
    live.restarting--;
  }
}
