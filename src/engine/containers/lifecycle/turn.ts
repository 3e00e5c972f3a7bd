import { holds } from "../condition.ts";
import type { ContainerContext } from "../context.ts";
import { type Needed, orderedNeedsOf } from "../dependencies.ts";
import { type ContainerRecord, isRunning } from "../record.ts";

/** The requests of one command (`stop app db`) arrive together, in any order: so long the others are waited for. */
const togetherMs = 25;

/**
 * Stops a container after those that depend on it, where they are being stopped too. Stopping one alone stops nothing else: what
 * depends on it may well do without it for a while.
 */
export async function inTurn(
  context: ContainerContext,
  record: ContainerRecord,
  stop: () => Promise<void>,
): Promise<void> {
  const live = context.live.of(record.id);
  const work = (async () => {
    const dependants = [...context.store.list()].filter(
      (other) =>
        isRunning(other) &&
        other.id !== record.id &&
        orderedNeedsOf(context.store, other).some((need) => need.id === record.id),
    );
    if (dependants.length > 0) {
      await context.clock.sleep(togetherMs);
      await Promise.all(dependants.map(({ id }) => context.live.of(id).goingDown));
    }
    await stop();
  })();
  const settled = work.catch(() => undefined); // who asked for it hears of it
  live.goingDown = settled;
  try {
    await work;
  } finally {
    if (live.goingDown === settled) live.goingDown = undefined;
  }
}

/** Waits for what a container needs, where that is being restarted too: until it is back and the condition holds. */
export async function neededAreBack(context: ContainerContext, record: ContainerRecord): Promise<void> {
  const needs = orderedNeedsOf(context.store, record);
  if (needs.length === 0) return;
  await context.clock.sleep(togetherMs);
  await Promise.all(needs.map((need) => isBack(context, need)));
}

async function isBack(context: ContainerContext, need: Needed): Promise<void> {
  const { comingBack } = context.live.of(need.id);
  if (!comingBack) return;
  await comingBack;
  await holds(context, need);
}
