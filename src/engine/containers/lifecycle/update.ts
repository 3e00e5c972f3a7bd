import { TugError } from "../../../base/lib/errors.ts";
import type { ContainerUpdateResponse } from "../../../base/spec/docker/api.gen.ts";
import { validateResources } from "../../../core/runtime/spec/validate-resources.ts";
import type { ContainerContext } from "../context.ts";
import { emitContainer } from "../events.ts";
import { changePortBindings, publishWarnings, republish } from "../publish.ts";
import { isAlive } from "../record.ts";
import { planUpdate, type UpdateRequest } from "./plan-update.ts";

/** `docker update`: only members with a value change; the record follows the kernel. */
export async function updateContainer(
  context: ContainerContext,
  reference: string,
  change: UpdateRequest,
): Promise<ContainerUpdateResponse> {
  const { id } = context.store.resolve(reference);
  return await context.locks.run(id, async () => {
    const record = context.store.resolve(id);
    if (record.state.status === "removing" || record.state.status === "dead") {
      throw new TugError(
        "conflict",
        `Cannot update container ${id}: container is marked for removal and cannot be "update"`,
      );
    }
    const before = record.definition.host;
    // What is asked for must make sense by itself before it is laid over what was there.
    const { host: asked, warnings } = validateResources(change, context.facts, { update: true });
    const { host, limits } = planUpdate(id, before, asked);
    const add = change.PublishAdd ?? [];
    const remove = change.PublishRm ?? [];
    if (add.length > 0 || remove.length > 0) {
      host.PortBindings = changePortBindings(host.PortBindings ?? {}, add, remove);
      await republish(context, record, host);
    }
    if (limits && isAlive(record)) {
      try {
        await context.runtime.update(id, context.spec.resources(host, context.facts));
      } catch (error) {
        if (add.length > 0 || remove.length > 0) await republish(context, record, before);
        throw error;
      }
    }
    const definition = context.store.setDefinition(id, { host });
    emitContainer(context, definition, "update");
    const ports =
      add.length > 0 ? publishWarnings(context, host, Object.keys(definition.definition.networks)) : [];
    return { Warnings: [...warnings, ...ports] };
  });
}
