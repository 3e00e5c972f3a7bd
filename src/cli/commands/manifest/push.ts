import { parseReference } from "../../../base/spec/docker/reference.ts";
import { putManifest } from "../../../client/distribution/manifest.ts";
import { defineCommand, exactly } from "../../command.ts";
import { registryAuth } from "../../config/credentials.ts";
import { bool } from "../../flags/flag.ts";
import { checkPushable, listDocument } from "../../manifest/list-document.ts";
import { fullReference, ManifestStore, noSuchManifest } from "../../manifest/store.ts";

export const command = defineCommand({
  usage: "[OPTIONS] MANIFEST_LIST",
  args: exactly(1),
  flags: {
    insecure: bool("", "Allow a registry with any certificate or none"),
    purge: bool("p", "Forget the list here once it is pushed"),
  },
  async run(context, { values, args: [target = ""] }) {
    const { name, reference } = fullReference(target);
    const config = await context.config();
    const store = new ManifestStore(config.folder);
    const manifests = store.list(name);
    if (!manifests || manifests.length === 0) throw noSuchManifest(name);
    checkPushable(manifests);
    const { mediaType, text } = listDocument(name, manifests);
    const sources = manifests.map(({ Ref }) => parseReference(Ref));
    const from = [...new Set(sources.map(({ domain, path }) => `${domain}/${path}`))];
    const digest = await putManifest(await context.client(), name, text, {
      auth: await registryAuth(context, reference.domain),
      insecure: values.insecure,
      mediaType,
      from,
    });
    const repository = `${reference.domain}/${reference.path}`;
    for (const [at, { Descriptor: descriptor }] of manifests.entries()) {
      if (sources[at]?.path === reference.path) continue;
      await context.out.write(
        `Pushed ref ${repository}@${descriptor.digest} with digest: ${descriptor.digest}\n`,
      );
    }
    await context.out.write(`${digest}\n`);
    if (values.purge) store.remove(name);
    return 0;
  },
});
