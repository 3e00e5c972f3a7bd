import { isCode } from "../../../base/lib/errors.ts";
import { parseRfc3339 } from "../../../base/lib/timestamp.ts";
import { Filters, type WireFilters } from "../../filters/filters.ts";
import type { ContainerContext } from "../context.ts";
import { isRunning } from "../record.ts";
import { removeContainer } from "./remove.ts";

/** `docker container prune`: removes every stopped container that the filters let through. */
export async function pruneContainers(
  context: ContainerContext,
  wire: WireFilters,
): Promise<{ readonly ContainersDeleted: readonly string[] | null; readonly SpaceReclaimed: number }> {
  const filters = Filters.parse(wire, ["until", "label", "label!"]);
  const until = filters.timestamp("until", context.clock.now());
  const deleted: string[] = [];
  let reclaimed = 0;
  for (const { id } of [...context.store.list()]) {
    await context.locks.run(id, async () => {
      const record = context.store.get(id);
      if (!record || isRunning(record) || record.state.status === "removing") return;
      const labels = record.definition.config.Labels ?? {};
      if (!filters.matchLabels("label", labels) || !filters.excludesLabels("label!", labels)) return;
      if (until !== undefined && (parseRfc3339(record.definition.created) ?? 0n) > until) return;
      const { bytes } = await context.snapshots.usage(id);
      try {
        await removeContainer(context, record, { volumes: false });
        deleted.push(id);
        reclaimed += bytes;
      } catch (error) {
        if (isCode(error, "cancelled")) throw error;
        context.log.warn("could not prune a container", { id, error });
      }
    });
  }
  context.events.publish({
    type: "container",
    action: "prune",
    id: "",
    attributes: { reclaimed: String(reclaimed) },
  });
  return { ContainersDeleted: deleted.length > 0 ? deleted : null, SpaceReclaimed: reclaimed };
}
