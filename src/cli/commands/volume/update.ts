import { invalid } from "../../../base/lib/errors.ts";
import type { Volume } from "../../../base/spec/docker/api.gen.ts";
import { inspectVolumeRaw } from "../../../client/volumes/inspect.ts";
import { updateVolume } from "../../../client/volumes/update.ts";
import { defineCommand, exactly } from "../../command.ts";
import { text } from "../../flags/flag.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [VOLUME]",
  args: exactly(1),
  flags: {
    availability: text("", "Availability of a cluster volume: active, pause or drain", { initial: "active" }),
  },
  async run(context, { values, changed, args: [name = ""] }) {
    const client = await context.client();
    const { ClusterVolume } = JSON.parse(await inspectVolumeRaw(client, name)) as Volume;
    if (!ClusterVolume) throw invalid("can only update cluster volumes");
    const spec = changed.has("availability")
      ? { ...ClusterVolume.Spec, Availability: values.availability }
      : (ClusterVolume.Spec ?? {});
    await updateVolume(client, ClusterVolume.ID ?? name, ClusterVolume.Version?.Index ?? 0, spec);
    return 0;
  },
});
