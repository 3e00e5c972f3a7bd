import { conflict, invalid, isCode, messageOf } from "../../../base/lib/errors.ts";
import type { ContainerContext } from "../context.ts";
import { emitContainer } from "../events.ts";
import { parseContainerName } from "../names.ts";

export async function renameContainer(
  context: ContainerContext,
  reference: string,
  newName: string,
): Promise<void> {
  if (reference === "" || newName === "") throw invalid("Neither old nor new names may be empty");
  const { id } = context.store.resolve(reference);
  await context.locks.run(id, async () => {
    const record = context.store.resolve(id);
    const name = parseContainerName(newName);
    if (name === record.name) {
      throw invalid("Renaming a container with the same name as its current name");
    }
    try {
      const renamed = context.store.rename(id, name);
      await context.networks.rename(id, name);
      emitContainer(context, renamed, "rename", { oldName: `/${record.name}` });
    } catch (error) {
      if (!isCode(error, "conflict")) throw error;
      throw conflict(`Error when allocating new name: ${messageOf(error)}`, error);
    }
  });
}
