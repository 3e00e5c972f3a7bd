import { invalid, messageOf, TugError } from "../../../base/lib/errors.ts";
import type { Client } from "../../../client/client.ts";
import { attachContainer } from "../../../client/containers/attach.ts";
import { inspectContainer } from "../../../client/containers/inspect.ts";
import { resizeContainer } from "../../../client/containers/resize.ts";
import { startContainer } from "../../../client/containers/start.ts";
import { waitContainer } from "../../../client/containers/wait.ts";
import { atLeast, defineCommand } from "../../command.ts";
import type { Context } from "../../context.ts";
import { bool, text, type Values } from "../../flags/flag.ts";
import { forwardSignals } from "../../run/signals.ts";
import { joinStreams } from "../../run/streams.ts";
import { checkTerminal } from "../../run/terminal.ts";
import { eachOperand } from "../each.ts";

const flags = {
  attach: bool("a", "Attach standard output and error, and pass signals on"),
  checkpoint: text("", "Restore from this checkpoint"),
  "checkpoint-dir": text("", "Folder of the checkpoints, when not the default"),
  "detach-keys": text("", "Keys that detach from the container"),
  interactive: bool("i", "Attach the container's standard input"),
};

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  args: atLeast(1),
  flags,
  async run(context, { values, args }) {
    const client = await context.client();
    if (values.attach || values.interactive) {
      if (args.length > 1) throw invalid("you cannot start and attach multiple containers at once");
      return await startAttached(context, client, args[0] ?? "", values);
    }
    if (values.checkpoint !== "" && args.length > 1)
      throw invalid("you cannot restore multiple containers at once");
    const restore = { checkpoint: values.checkpoint, checkpointDir: values["checkpoint-dir"] };
    return await eachOperand(context, args, (name) => startContainer(client, name, restore), {
      failure: (failed) => `Error: failed to start containers: ${failed.join(", ")}`,
    });
  },
});

async function startAttached(
  context: Context,
  client: Client,
  name: string,
  values: Values<typeof flags>,
): Promise<number> {
  const container = await inspectContainer(client, name);
  const id = container.Id ?? name;
  const tty = container.Config?.Tty ?? false;
  const stdin = values.interactive && (container.Config?.OpenStdin ?? false);
  checkTerminal(context, stdin, tty);
  const detachKeys = values["detach-keys"] || (await context.config()).data.detachKeys;
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => undefined); // nobody may be waiting when the start fails
  using _signals = !tty ? forwardSignals(client, id, ready.promise) : undefined;
  const [{ stream }, { result }] = await Promise.all([
    attachContainer(client, id, { stdin, stdout: true, stderr: true, detachKeys }),
    waitContainer(client, id, container.HostConfig?.AutoRemove ? "removed" : "next-exit"),
  ]);
  try {
    await startContainer(client, id, {
      checkpoint: values.checkpoint,
      checkpointDir: values["checkpoint-dir"],
    });
    ready.resolve();
  } catch (error) {
    ready.reject(error);
    stream.close();
    throw new TugError("internal", messageOf(error), { cause: error });
  }
  const end = await joinStreams(context, stream, {
    tty,
    stdin,
    detachKeys,
    resize: (size) => resizeContainer(client, id, size),
  });
  if (end === "detached") return 0;
  return (await result).StatusCode;
}
