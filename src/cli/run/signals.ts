import type { Client } from "../../client/client.ts";
import { killContainer } from "../../client/containers/kill.ts";

const forwarded = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTERM",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGCONT",
] as const;

/**
 * Passes signals on to the container until disposed. Those that come before `ready` wait for it: a container takes signals
 * only once it runs.
 */
export function forwardSignals(client: Client, id: string, ready: Promise<void>): Disposable {
  const undo: (() => void)[] = [];
  for (const name of forwarded) {
    const handler = () => {
      ready.then(() => killContainer(client, id, name)).catch(() => undefined); // it has ended, or never ran: its exit code will tell
    };
    process.on(name, handler);
    undo.push(() => process.off(name, handler));
  }
  return {
    [Symbol.dispose]: () => {
      for (const off of undo) off();
    },
  };
}
