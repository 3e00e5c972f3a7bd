import { expect, test } from "bun:test";
import { systemClock } from "../../../base/lib/clock.ts";
import { messageOf, TugError } from "../../../base/lib/errors.ts";
import { retrying } from "./retry.ts";
import { TransportError, type TransportReason } from "./transport-error.ts";

/** How often something is tried that fails with that each time; nobody waits. */
async function tries(error: Error): Promise<number> {
  let count = 0;
  const clock = { ...systemClock, sleep: async () => undefined };
  const options = { signal: undefined, onRetry: undefined, what: "upload" };
  const failed = await retrying({ clock }, options, async () => {
    count++;
    throw error;
  }).catch(messageOf);
  expect(failed).toContain(error.message);
  return count;
}

test("what may pass is tried again, what is settled is not", async () => {
  const transport = (reason: TransportReason) => new TransportError(reason, "https://h/v2/", reason);
  for (const reason of ["refused", "timeout", "name", "other"] as const)
    expect(await tries(transport(reason))).toBe(5);
  for (const reason of ["authority", "expired", "host-name", "plain-http", "client-certificate"] as const)
    expect(await tries(transport(reason))).toBe(1);
  expect(await tries(new TugError("not-found", "gone"))).toBe(1);
});
