import { between, defineCommand } from "../../command.ts";
import type { Context } from "../../context.ts";
import { bool } from "../../flags/flag.ts";
import { indentJson } from "../../format/json.ts";
import { descriptorList, listDocument } from "../../manifest/list-document.ts";
import { remoteManifest } from "../../manifest/remote.ts";
import {
  documentOf,
  fullReference,
  ManifestStore,
  noSuchManifest,
  type StoredManifest,
} from "../../manifest/store.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
  description: "Looks at a list that is being made here first, then at the registry.",
  args: between(1, 2),
  flags: {
    insecure: bool("", "Allow a registry with any certificate or none"),
    verbose: bool("v", "Show the manifests of a list too, with their platforms"),
  },
  async run(context, { values, args }) {
    const text = args.at(-1) ?? "";
    const { name } = fullReference(text);
    const store = new ManifestStore((await context.config()).folder);
    if (args.length === 2) {
      const manifest = store.get(fullReference(args[0] ?? "").name, name);
      if (!manifest) throw noSuchManifest(name);
      return await printManifest(context, manifest, values.verbose);
    }
    const local = store.list(name);
    if (local) return await printList(context, name, local, values.verbose);
    const found = await remoteManifest(context, text, values.insecure);
    if (found.kind === "manifest") return await printManifest(context, found.manifest, values.verbose);
    if (!values.verbose) {
      await context.out.write(`${descriptorList(found.descriptors).text}\n`);
      return 0;
    }
    const all: StoredManifest[] = [];
    for (const descriptor of found.descriptors) {
      const { platform } = descriptor;
      const each = await remoteManifest(context, `${name}@${descriptor.digest}`, values.insecure);
      if (each.kind === "list") continue;
      const entry = { ...each.manifest.Descriptor, ...(platform ? { platform } : {}) };
      all.push({ ...each.manifest, Descriptor: entry });
    }
    return await printList(context, name, all, true);
  },
});

async function printManifest(context: Context, manifest: StoredManifest, verbose: boolean): Promise<number> {
  const text = verbose ? JSON.stringify(manifest) : documentOf(manifest);
  await context.out.write(`${indentJson(text, "\t")}\n`);
  return 0;
}

async function printList(
  context: Context,
  name: string,
  manifests: readonly StoredManifest[],
  verbose: boolean,
): Promise<number> {
  const text = verbose ? JSON.stringify(manifests, null, "\t") : listDocument(name, manifests).text;
  await context.out.write(`${text}\n`);
  return 0;
}
