import { abortable } from "../../../base/lib/abort.ts";

interface Flight<E> {
  readonly done: Promise<void>;
  readonly listeners: Set<(event: E) => void>;
  readonly stop: AbortController;
  last: E | undefined;
}

/**
 * Work that several want at once is done once. Each gets the events and the outcome; one who aborts leaves alone, and the
 * work ends when the last has left.
 */
export class SingleFlight<E> {
  readonly #flights = new Map<string, Flight<E>>();

  /** Joins the work under `key`, or starts it. `joined` is true when somebody else had started it. */
  run(
    key: string,
    signal: AbortSignal | undefined,
    listener: (event: E) => void,
    start: (emit: (event: E) => void, signal: AbortSignal) => Promise<void>,
  ): { readonly joined: boolean; readonly done: Promise<void> } {
    const running = this.#flights.get(key);
    const flight = running ?? this.#start(key, start);
    if (flight.last !== undefined) listener(flight.last);
    flight.listeners.add(listener);
    const done = abortable(flight.done, signal).finally(() => {
      flight.listeners.delete(listener);
      if (flight.listeners.size > 0) return;
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
      flight.stop.abort();
    });
    return { joined: running !== undefined, done };
  }

  #start(key: string, start: (emit: (event: E) => void, signal: AbortSignal) => Promise<void>): Flight<E> {
    const stop = new AbortController();
    const listeners = new Set<(event: E) => void>();
    const emit = (event: E) => {
      flight.last = event;
      for (const each of listeners) each(event);
    };
    // Started in a later turn, so that whoever starts it hears its first event.
    const done = Promise.resolve().then(() => start(emit, stop.signal));
    const flight: Flight<E> = { done, listeners, stop, last: undefined };
    this.#flights.set(key, flight);
    const forget = () => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    done.then(forget, forget);
    return flight;
  }
}
