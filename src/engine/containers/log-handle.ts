import { internal } from "../../base/lib/errors.ts";
import type { ContainerLog } from "../../core/logging/logging.ts";
import type { ContainerContext } from "./context.ts";
import type { ContainerRecord } from "./record.ts";

/** The container's log, opened once and shared by its run and its readers. */
export async function openLog(context: ContainerContext, record: ContainerRecord): Promise<ContainerLog> {
  const live = context.live.of(record.id);
  live.log ??= await open(context, record);
  return live.log;
}

async function open(context: ContainerContext, record: ContainerRecord): Promise<ContainerLog> {
  const { definition } = record;
  const type = definition.host.LogConfig?.Type ?? "";
  const driver = context.logDrivers.get(type);
  if (!driver) throw internal(`logger: no log driver named '${type}' is registered`);
  return await driver.open({
    id: record.id,
    name: record.name,
    imageId: definition.imageId,
    imageName: definition.imageReference,
    created: definition.created,
    command: [definition.path, ...definition.args].join(" "),
    labels: definition.config.Labels ?? {},
    env: definition.config.Env ?? [],
    directory: context.paths.dir(record.id),
    options: definition.host.LogConfig?.Config ?? {},
    reopen: () => context.runtime.reopenLog(context.paths.task(record.id)),
  });
}
