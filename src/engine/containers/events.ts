import type { ContainerContext } from "./context.ts";
import type { ContainerRecord, MountRecord } from "./record.ts";

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

/** A volume put into a container or taken out again. */
export function emitVolume(
  context: Pick<ContainerContext, "events">,
  record: ContainerRecord,
  mount: MountRecord & { readonly type: "volume" },
  action: "mount" | "unmount",
): void {
  const use = { destination: mount.target, propagation: "", "read/write": String(!mount.readonly) };
  context.events.publish({
    type: "volume",
    action,
    id: mount.name,
    attributes: { container: record.id, driver: mount.driver, ...(action === "mount" ? use : {}) },
  });
}
