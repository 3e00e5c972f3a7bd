import { invalid, isCode, messageOf } from "../../base/lib/errors.ts";
import { inspectContainerRaw } from "../../client/containers/inspect.ts";
import { DaemonError } from "../../client/errors.ts";
import { inspectImageRaw } from "../../client/images/inspect.ts";
import { inspectNetworkRaw } from "../../client/networks/inspect.ts";
import { inspectOther } from "../../client/system/inspect-other.ts";
import { inspectVolumeRaw } from "../../client/volumes/inspect.ts";
import { atLeast, defineCommand } from "../command.ts";
import { bool, text } from "../flags/flag.ts";
import { formatFlag, printInspected } from "../format/inspect.ts";

const types =
  '"config", "container", "image", "network", "node", "plugin", "secret", "service", "task", "volume"';

export const command = defineCommand({
  usage: "[OPTIONS] NAME|ID [NAME|ID...]",
  args: atLeast(1),
  flags: {
    format: formatFlag,
    size: bool("s", "Add the sizes on disk, for containers"),
    type: text("", "Look only at objects of this type"),
  },
  async run(context, { values, changed, args }) {
    if (changed.has("type") && values.type === "") throw invalid(`type is empty: must be one of ${types}`);
    const client = await context.client();
    // In Docker's order: the first kind that knows the name answers.
    const finders: Readonly<Record<string, (name: string) => Promise<string>>> = {
      container: (name) => inspectContainerRaw(client, name, values.size),
      image: (name) => inspectImageRaw(client, name),
      network: (name) => inspectNetworkRaw(client, name),
      volume: (name) => inspectVolumeRaw(client, name),
      service: (name) => inspectOther(client, "services", name),
      task: (name) => inspectOther(client, "tasks", name),
      node: (name) => inspectOther(client, "nodes", name),
      plugin: (name) => inspectOther(client, "plugins", name),
      secret: (name) => inspectOther(client, "secrets", name),
      config: (name) => inspectOther(client, "configs", name),
    };
    const kinds = values.type === "" ? Object.keys(finders) : [values.type];
    for (const kind of kinds) {
      if (!(kind in finders)) {
        throw invalid(`unknown type: ${JSON.stringify(kind)}: must be one of ${types}`);
      }
    }
    const find = async (name: string): Promise<string> => {
      for (const kind of kinds) {
        try {
          const found = (await finders[kind]?.(name)) ?? "null";
          if (values.size && kind !== "container") {
            await context.err.write(`WARNING: --size ignored for ${kind}\n`);
          }
          return found;
        } catch (error) {
          const absent = isCode(error, "not-found") || (kind !== "container" && error instanceof DaemonError);
          if (values.type !== "" || !absent) throw error;
        }
      }
      throw invalid(`Error: No such object: ${name}`);
    };
    return await printInspected(context, args, values.format, async (name) => {
      try {
        return await find(name);
      } catch (error) {
        throw invalid(messageOf(error), error);
      }
    });
  },
});
