import { holds } from "../condition.ts";
import type { ContainerContext } from "../context.ts";
import { type Needed, orderedNeedsOf } from "../dependencies.ts";
import { type ContainerRecord, isRunning } from "../record.ts";

/** The requests of one command (`stop app db`) arrive together, in any order: so long at most the others are waited for. */
const togetherMs = 100;
const stepMs = 5;

/** In steps: a daemon that stood still meanwhile reads what has come before it takes the time for over. */
async function together({ clock }: ContainerContext, since: bigint, haveCome: () => boolean): Promise<void> {
  const elapsedMs = Number((clock.monotonic() - since) / 1_000_000n);
  const steps = Math.max(2, Math.ceil((togetherMs - elapsedMs) / stepMs));
  for (let step = 0; step < steps && !haveCome(); step++) await clock.sleep(stepMs);
}

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
    const isGoing = ({ id }: ContainerRecord) => {
      const now = context.store.get(id);
      return !now || !isRunning(now) || context.live.of(id).goingDown !== undefined;
    };
    await together(context, context.clock.monotonic(), () => dependants.every(isGoing));
    await Promise.all(dependants.map(({ id }) => context.live.peek(id)?.goingDown));
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

/**
 * Waits for what a container needs, where that is being restarted too: until it is back and the condition holds. `since` is when the
 * restart was asked for (`Clock.monotonic`).
 */
export async function neededAreBack(
  context: ContainerContext,
  record: ContainerRecord,
  since: bigint,
): Promise<void> {
  const needs = orderedNeedsOf(context.store, record);
  await together(context, since, () => needs.every(({ id }) => context.live.of(id).comingBack !== undefined));
  await Promise.all(needs.map((need) => isBack(context, need)));
}

async function isBack(context: ContainerContext, need: Needed): Promise<void> {
  const { comingBack } = context.live.of(need.id);
  if (!comingBack) return;
  await comingBack;
  await holds(context, need);
}
