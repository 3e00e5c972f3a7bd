import type { EventMessage } from "../../base/spec/docker/api.gen.ts";

/** What happened to which object; the log adds the time. */
export interface NewEvent {
  readonly type:
    | "container"
    | "image"
    | "volume"
    | "network"
    | "daemon"
    | "plugin"
    | "builder"
    | "secret"
    | "config";
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Where services announce what they did. Never throws: an event is not worth failing an operation for. */
export interface EventPublisher {
  publish(event: NewEvent): void;
}

/** An event at its place in the log. */
export interface StoredEvent extends NewEvent {
  readonly seq: number;
  /** Nanoseconds since the epoch; strictly increasing along the log. */
  readonly time: bigint;
}

/** The wire's shape, with the members that clients of API versions before 1.22 read beside the newer ones left to the API. */
export function toMessage(event: StoredEvent): EventMessage {
  return {
    Type: event.type,
    Action: event.action,
    Actor: { ID: event.id, Attributes: { ...event.attributes } },
    scope: "local",
    time: Number(event.time / 1_000_000_000n),
    timeNano: Number(event.time),
  };
}
