import { invalid, messageOf } from "../../../base/lib/errors.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { bool } from "../../flags/flag.ts";
import { remoteManifest } from "../../manifest/remote.ts";
import { fullReference, ManifestStore } from "../../manifest/store.ts";

export const command = defineCommand({
  usage: "MANIFEST_LIST MANIFEST [MANIFEST...]",
  description: "The list is kept on this machine until it is pushed.",
  args: atLeast(2),
  flags: {
    amend: bool("a", "Add to a list that is there already"),
    insecure: bool("", "Allow a registry with any certificate or none"),
  },
  async run(context, { values, args: [target = "", ...names] }) {
    const list = parseList(target);
    const store = new ManifestStore((await context.config()).folder);
    if (store.list(list) && !values.amend) {
      throw invalid("refusing to amend an existing manifest list with no --amend flag");
    }
    for (const text of names) {
      const { name } = fullReference(text);
      const kept = store.get(list, name);
      if (kept) {
        store.save(list, name, kept);
        continue;
      }
      const found = await remoteManifest(context, text, values.insecure);
      if (found.kind === "list") throw invalid(`${name} is a manifest list`);
      store.save(list, name, found.manifest);
    }
    await context.out.write(`Created manifest list ${list}\n`);
    return 0;
  },
});

function parseList(text: string): string {
  try {
    return fullReference(text).name;
  } catch (error) {
    throw invalid(`error parsing name for manifest list ${text}: ${messageOf(error)}`, error);
  }
}
