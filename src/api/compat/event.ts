import type { EventMessage } from "../../base/spec/docker/api.gen.ts";
import type { ApiVersion } from "../version.ts";

/** Until 1.52 events of containers and images carried `status`, `id` and `from` beside Type, Action and Actor. */
export function eventReply(version: ApiVersion, event: EventMessage): unknown {
  if (version >= 52 || (event.Type !== "container" && event.Type !== "image")) return event;
  const from = event.Type === "container" ? { from: event.Actor?.Attributes?.["image"] ?? "" } : {};
  return { status: event.Action, id: event.Actor?.ID, ...from, ...event };
}

/** Image create events came with 1.46. */
export function eventKnown(version: ApiVersion, event: EventMessage): boolean {
  return version >= 46 || event.Type !== "image" || event.Action !== "create";
}
