import type { Clock } from "../../base/lib/clock.ts";
import { isCode, messageOf, TugError } from "../../base/lib/errors.ts";

/** Attempts in all before a transfer is given up (dockerd's --max-download-attempts). */
export const maxAttempts = 5;

/** What `attempt` tells about itself: moving on pays, however often the connection is cut. */
export interface Attempt {
  /** Says that bytes were gained, which starts the count of attempts again. */
  progressed(): void;
}

/**
 * Runs `attempt` until it succeeds, pausing 1, 2, 4, 8 seconds between failures. Only `unavailable` is worth another try;
 * after the last one the message says how many there were, as dockerd's does.
 */
export async function retrying<T>(
  deps: { readonly clock: Clock },
  options: {
    readonly signal: AbortSignal | undefined;
    readonly onRetry: ((reason: string, seconds: number) => void) | undefined;
    /** "download" or "upload". */
    readonly what: string;
  },
  attempt: (control: Attempt) => Promise<T>,
): Promise<T> {
  let failures = 0;
  for (;;) {
    let moved = false;
    try {
      return await attempt({
        progressed: () => {
          moved = true;
        },
      });
    } catch (error) {
      if (!isCode(error, "unavailable")) throw error;
      failures = moved ? 1 : failures + 1;
      if (failures >= maxAttempts) {
        const text = `${options.what} failed after attempts=${failures}: ${messageOf(error)}`;
        throw new TugError("unavailable", text, { cause: error });
      }
      const seconds = 2 ** (failures - 1);
      options.onRetry?.(messageOf(error), seconds);
      await deps.clock.sleep(seconds * 1000, options.signal);
    }
  }
}
