import { invalid } from "../../../base/lib/errors.ts";
import { updateContainer } from "../../../client/containers/update.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { list, text } from "../../flags/flag.ts";
import { bytes, limitFlags, limitsOf } from "../../run/limit-flags.ts";
import { parseRestart } from "../../run/values/limits.ts";
import { parsePorts, shortForm } from "../../run/values/ports.ts";
import { eachOperand } from "../each.ts";

const flags = {
  ...limitFlags,
  "kernel-memory": { ...bytes("", "Limit of kernel memory"), hidden: true },
  "publish-add": list("", "Publish one more port of the running container (as -p)"),
  "publish-rm": list("", "Publish a port no longer (port[/protocol], or as -p)"),
  restart: text("", "What to do when it exits"),
};

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  args: atLeast(1),
  flags,
  async run(context, { values, changed, args }) {
    if (changed.size === 0) throw invalid("you must provide one or more flags when using this command");
    parsePorts(values["publish-add"], []); // refused here, before any container is changed
    const client = await context.client();
    const spec = {
      ...limitsOf(values),
      ...(changed.has("pids-limit") ? { PidsLimit: values["pids-limit"] } : {}),
      RestartPolicy: parseRestart(values.restart),
      ...(values["publish-add"].length > 0 ? { PublishAdd: values["publish-add"].map(shortForm) } : {}),
      ...(values["publish-rm"].length > 0 ? { PublishRm: values["publish-rm"] } : {}),
    };
    return await eachOperand(context, args, async (name) => {
      const { Warnings } = await updateContainer(client, name, spec);
      for (const warning of Warnings ?? []) await context.err.write(`${warning}\n`);
    });
  },
});
