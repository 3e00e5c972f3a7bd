import { conflict } from "../../../base/lib/errors.ts";
import type { ContainerContext } from "../context.ts";
import { emitContainer } from "../events.ts";
import { isAlive } from "../record.ts";

export async function resizeContainer(
  context: ContainerContext,
  reference: string,
  rows: number,
  columns: number,
): Promise<void> {
  const record = context.store.resolve(reference);
  if (!isAlive(record)) throw conflict(`Container ${record.id} is not running`);
  await context.runtime.resize(context.paths.task(record.id), { rows, columns });
  emitContainer(context, record, "resize", { height: String(rows), width: String(columns) });
}
