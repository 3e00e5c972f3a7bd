import { invalid } from "../../../base/lib/errors.ts";
import { createVolume } from "../../../client/volumes/create.ts";
import { atMost, defineCommand } from "../../command.ts";
import { custom, list, map, text } from "../../flags/flag.ts";
import { clusterVolume } from "../../run/values/cluster-volume.ts";
import { labelFlag, pairsToMap } from "../../run/values/environment.ts";
import { parseMemory } from "../../run/values/limits.ts";

const bytes = (help: string) => custom("bytes", "", help, 0, (value) => parseMemory(value));

const flags = {
  availability: text("", "Cluster volume: active, pause or drain", { initial: "active" }),
  driver: text("d", "Volume driver", { initial: "local" }),
  group: text("", "Cluster volume: group it belongs to"),
  label: list("", "Set a label", labelFlag),
  "limit-bytes": bytes("Cluster volume: largest size"),
  name: text("", "Name of the volume", { hidden: true }),
  opt: map("o", "Option of the driver"),
  "required-bytes": bytes("Cluster volume: smallest size"),
  scope: text("", "Cluster volume: single or multi", { initial: "single" }),
  secret: map("", "Cluster volume: secret for the driver"),
  sharing: text("", "Cluster volume: none, readonly, onewriter or all", { initial: "none" }),
  "topology-preferred": list("", "Cluster volume: topology it should be in"),
  "topology-required": list("", "Cluster volume: topology it must be in"),
  type: text("", "Cluster volume: block or mount", { initial: "block" }),
};

export const command = defineCommand({
  usage: "[OPTIONS] [VOLUME]",
  args: atMost(1),
  flags,
  async run(context, { values, changed, args: [operand] }) {
    if (operand !== undefined && values.name !== "") {
      throw invalid(
        "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
      );
    }
    const client = await context.client();
    const volume = await createVolume(client, {
      Name: operand ?? values.name,
      Driver: values.driver,
      DriverOpts: { ...values.opt },
      Labels: pairsToMap(values.label),
      ...clusterVolume(values, changed),
    });
    await context.out.write(`${volume.Name}\n`);
    return 0;
  },
});
