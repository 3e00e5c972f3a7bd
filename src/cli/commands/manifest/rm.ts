import { messageOf, TugError } from "../../../base/lib/errors.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { fullReference, ManifestStore, noSuchManifest } from "../../manifest/store.ts";

export const command = defineCommand({
  usage: "MANIFEST_LIST [MANIFEST_LIST...]",
  args: atLeast(1),
  flags: {},
  async run(context, { args }) {
    const store = new ManifestStore((await context.config()).folder);
    const failures: string[] = [];
    for (const text of args) {
      try {
        const { name } = fullReference(text);
        if (!store.list(name)) throw noSuchManifest(name);
        store.remove(name);
      } catch (error) {
        failures.push(messageOf(error));
      }
    }
    if (failures.length > 0) throw new TugError("internal", failures.join("\n"));
    return 0;
  },
});
