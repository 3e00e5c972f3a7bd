import { invalid, messageOf, TugError } from "../../../base/lib/errors.ts";
import { attachContainer } from "../../../client/containers/attach.ts";
import { inspectContainer } from "../../../client/containers/inspect.ts";
import { resizeContainer } from "../../../client/containers/resize.ts";
import { waitContainer } from "../../../client/containers/wait.ts";
import { defineCommand, exactly } from "../../command.ts";
import { bool, text } from "../../flags/flag.ts";
import { forwardSignals } from "../../run/signals.ts";
import { joinStreams } from "../../run/streams.ts";
import { checkTerminal } from "../../run/terminal.ts";

const flags = {
  "detach-keys": text("", "Keys that detach from the container"),
  "no-stdin": bool("", "Do not attach standard input"),
  "sig-proxy": bool("", "Pass signals on to the process", { initial: true }),
};

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER",
  args: exactly(1),
  flags,
  async run(context, { values, args: [name = ""] }) {
    const client = await context.client();
    const container = await inspectContainer(client, name);
    const id = container.Id ?? name;
    if (!container.State?.Running) throw invalid("cannot attach to a stopped container, start it first");
    if (container.State.Paused) throw invalid("cannot attach to a paused container, unpause it first");
    if (container.State.Restarting)
      throw invalid("cannot attach to a restarting container, wait until it is running");
    const tty = container.Config?.Tty ?? false;
    const stdin = !values["no-stdin"] && (container.Config?.OpenStdin ?? false);
    checkTerminal(context, stdin, tty);
    const detachKeys = values["detach-keys"] || (await context.config()).data.detachKeys;
    const { result } = await waitContainer(client, id);
    using _signals = values["sig-proxy"] && !tty ? forwardSignals(client, id, Promise.resolve()) : undefined;
    const { stream } = await attachContainer(client, id, { stdin, stdout: true, stderr: true, detachKeys });
    const end = await joinStreams(context, stream, {
      tty,
      stdin,
      detachKeys,
      resize: (size) => resizeContainer(client, id, size),
    });
    if (end === "detached") {
      await context.err.write("read escape sequence\n");
      return 1;
    }
    const exit = await result.catch((error: unknown) => {
      throw new TugError("unavailable", messageOf(error), { cause: error });
    });
    if (exit.Error?.Message) throw new TugError("internal", exit.Error.Message);
    return exit.StatusCode;
  },
});
