import type { ContainerContext } from "./context.ts";
import type { ContainerRecord } from "./record.ts";

/** A container event with the attributes Docker gives each: labels, image, name, and the action's own. */
export function emitContainer(
  context: Pick<ContainerContext, "events">,
  record: ContainerRecord,
  action: string,
  extra: Readonly<Record<string, string>> = {},
): void {
  context.events.publish({
    type: "container",
    action,
    id: record.id,
    attributes: {
      ...record.definition.config.Labels,
      ...extra,
      image: record.definition.imageReference,
      name: record.name,
    },
  });
}
