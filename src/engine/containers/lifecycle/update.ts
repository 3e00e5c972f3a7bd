import { invalid, TugError } from "../../../base/lib/errors.ts";
import type {
  ContainerUpdateResponse,
  HostConfig,
  Resources,
  RestartPolicy,
} from "../../../base/spec/docker/api.gen.ts";
import { validateResources } from "../../../core/runtime/spec/validate-resources.ts";
import { checkRestartPolicy } from "../../restart/policy.ts";
import type { ContainerContext } from "../context.ts";
import { emitContainer } from "../events.ts";
import { changePortBindings, republish } from "../publish.ts";
import { isAlive } from "../record.ts";

/** What can be changed on a live container. */
const changeable = [
  "BlkioWeight",
  "CpuShares",
  "CpuPeriod",
  "CpuQuota",
  "CpuRealtimePeriod",
  "CpuRealtimeRuntime",
  "CpusetCpus",
  "CpusetMems",
  "NanoCpus",
  "Memory",
  "MemorySwap",
  "MemoryReservation",
  "PidsLimit",
] as const satisfies readonly (keyof Resources)[];

export type UpdateRequest = Resources & {
  readonly RestartPolicy?: RestartPolicy;
  readonly PublishAdd?: readonly string[];
  readonly PublishRm?: readonly string[];
};

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
    const wanted: HostConfig = { ...before };
    for (const key of changeable) {
      const value = change[key];
      if (value) Object.assign(wanted, { [key]: value });
    }
    if (change.NanoCpus && (before.CpuPeriod || before.CpuQuota)) {
      throw invalid(
        "Conflicting options: Nano CPUs cannot be updated as CPU Period/Quota has already been set",
      );
    }
    if ((change.CpuPeriod || change.CpuQuota) && before.NanoCpus) {
      throw invalid(
        "Conflicting options: CPU Period/Quota cannot be updated as NanoCPUs has already been set",
      );
    }
    if (change.RestartPolicy?.Name) {
      checkRestartPolicy(change.RestartPolicy);
      if (before.AutoRemove && change.RestartPolicy.Name !== "no") {
        throw invalid("Restart policy cannot be updated because AutoRemove is enabled for the container");
      }
      wanted.RestartPolicy = change.RestartPolicy;
    }
    const { host, warnings } = validateResources(wanted, context.facts, { update: true });
    const add = change.PublishAdd ?? [];
    const remove = change.PublishRm ?? [];
    if (add.length > 0 || remove.length > 0) {
      host.PortBindings = changePortBindings(host.PortBindings ?? {}, add, remove);
      await republish(context, record, host);
    }
    const limits = changeable.some((key) => Boolean(change[key]));
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
    return { Warnings: [...warnings] };
  });
}
