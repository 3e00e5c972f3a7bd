import type { Filters } from "../filters/filters.ts";
import type { NewEvent } from "./event.ts";

/** Actions that carry detail after a colon; asked for without it, every detail matches. */
const detailed = ["health_status", "exec_create", "exec_start"];

/**
 * Docker's event filters. `container`, `volume`, `network`, `plugin` and `daemon` match the actor's id or its "name" by prefix whatever
 * the event's type is, as Docker's do; `image` matches exactly, with and without its tag. Unknown names are ignored.
 */
export function eventMatches(filters: Filters, event: NewEvent): boolean {
  return (
    matchAction(filters, event.action) &&
    filters.exact("type", event.type) &&
    filters.exact("scope", "local") &&
    ["daemon", "container", "plugin", "volume", "network", "node", "service", "secret", "config"].every(
      (kind) => matchActor(filters, kind, event),
    ) &&
    matchImage(filters, event) &&
    filters.matchLabels("label", event.attributes)
  );
}

function matchAction(filters: Filters, action: string): boolean {
  const loose = filters.get("event").some((wanted) => detailed.includes(wanted));
  return loose ? filters.prefix("event", action) : filters.exact("event", action);
}

function matchActor(filters: Filters, kind: string, event: NewEvent): boolean {
  return filters.prefix(kind, event.id) || filters.prefix(kind, event.attributes["name"] ?? "");
}

function matchImage(filters: Filters, event: NewEvent): boolean {
  if (!filters.has("image")) return true;
  const name = event.attributes[event.type === "image" ? "name" : "image"] ?? "";
  return [event.id, name, withoutTag(event.id), withoutTag(name)].some((text) =>
    filters.exact("image", text),
  );
}

/** "localhost:5000/a:1" -> "localhost:5000/a". */
function withoutTag(reference: string): string {
  const name = reference.replace(/@.*$/, "");
  const colon = name.lastIndexOf(":");
  return colon > name.lastIndexOf("/") ? name.slice(0, colon) : name;
}
