import type { Clock } from "../../../base/lib/clock.ts";
import { isCode, messageOf, TugError } from "../../../base/lib/errors.ts";
import { RegistryError } from "./registry-error.ts";
import { cancelled } from "./transport.ts";
import { TransportError, type TransportReason } from "./transport-error.ts";

/** Attempts in all before a transfer is given up, unless --max-download-attempts says otherwise; dockerd's number. */
const maxAttempts = 5;
/** A registry that wants to be left alone for longer than this is not waited for: the caller can do better. */
const longestWaitSeconds = 120;

/** What `attempt` tells about itself: moving on pays, however often the connection is cut. */
export interface Attempt {
  /** Says that bytes were gained, which starts the count of attempts again. */
  progressed(): void;
}

/**
 * Runs `attempt` until it succeeds, pausing 1, 2, 4, 8 seconds between failures, or as long as the registry said (Retry-After).
 * Only `unavailable` is worth another try, and no certificate gets better by it; after the last one the message says how many there were, as dockerd's does.
 */
export async function retrying<T>(
  deps: { readonly clock: Clock },
  options: {
    readonly signal: AbortSignal | undefined;
    readonly onRetry: ((reason: string, seconds: number) => void) | undefined;
    /** "download" or "upload". */
    readonly what: string;
    /** Attempts in all; `maxAttempts` unless told. */
    readonly attempts?: number | undefined;
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
      if (!isCode(error, "unavailable") || isSettled(error)) throw error;
      failures = moved ? 1 : failures + 1;
      if (failures >= (options.attempts ?? maxAttempts)) {
        const text = `${options.what} failed after attempts=${failures}: ${messageOf(error)}`;
        throw new TugError("unavailable", text, { cause: error });
      }
      const seconds = pause(error, failures, deps.clock);
      options.onRetry?.(messageOf(error), seconds);
      await deps.clock.sleep(seconds * 1000, options.signal);
    }
  }
}

/**
 * Runs `ask` again as often as the registry refuses it and says when to come back. Anything else it throws is thrown at once: a
 * question, other than a transfer, has nothing that a second attempt could continue.
 */
export async function whenAsked<T>(
  deps: { readonly clock: Clock },
  signal: AbortSignal | undefined,
  ask: () => Promise<T>,
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await ask();
    } catch (error) {
      if (!isCode(error, "unavailable") || failures >= maxAttempts) throw error;
      if (retryAfter(error, deps.clock) === undefined) throw error;
      await deps.clock.sleep(pause(error, failures, deps.clock) * 1000, signal).catch((reason: unknown) => {
        throw signal?.aborted ? cancelled(signal) : reason;
      });
    }
  }
}

/** The server is there, and is not to be spoken to as it is. */
function isSettled(error: unknown): boolean {
  const settled: readonly TransportReason[] = [
    "authority",
    "expired",
    "host-name",
    "plain-http",
    "client-certificate",
  ];
  return error instanceof TransportError && settled.includes(error.reason);
}

/** Seconds until the next attempt. Throws the error itself when the registry wants more patience than anybody has. */
function pause(error: unknown, failures: number, clock: Clock): number {
  const backoff = 2 ** (failures - 1);
  const asked = retryAfter(error, clock);
  if (asked === undefined) return backoff;
  if (asked <= longestWaitSeconds) return Math.max(asked, backoff);
  throw new TugError(
    "unavailable",
    `${messageOf(error)} (the registry asks to come back in ${asked} seconds)`,
    {
      cause: error,
    },
  );
}

/** What the registry said, in seconds from now: RFC 9110, 10.2.3, a number or a date. */
function retryAfter(error: unknown, clock: Clock): number | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const text = at instanceof RegistryError ? at.retryAfter?.trim() : undefined;
    if (!text) continue;
    if (/^\d{1,9}$/.test(text)) return Number(text);
    const date = Date.parse(text);
    if (!Number.isNaN(date)) return Math.max(0, Math.ceil((date - clock.now()) / 1000));
  }
  return undefined;
}
