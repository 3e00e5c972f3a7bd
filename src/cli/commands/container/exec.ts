import { isCode, messageOf, TugError } from "../../../base/lib/errors.ts";
import { createExec, type ExecSpec } from "../../../client/exec/create.ts";
import { inspectExec } from "../../../client/exec/inspect.ts";
import { resizeExec } from "../../../client/exec/resize.ts";
import { startExec, startExecDetached } from "../../../client/exec/start.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { bool, list, text } from "../../flags/flag.ts";
import { joinStreams } from "../../run/streams.ts";
import { checkTerminal } from "../../run/terminal.ts";
import { consoleSize } from "../../run/terminal-size.ts";
import { envFlag, readKeyValueFile } from "../../run/values/environment.ts";

const flags = {
  detach: bool("d", "Leave the command in the background"),
  "detach-keys": text("", "Keys that detach from the command"),
  env: list("e", "Set an environment variable", envFlag(process.env)),
  "env-file": list("", "Read environment variables from a file"),
  interactive: bool("i", "Keep stdin open even when not attached"),
  privileged: bool("", "Give the command all privileges"),
  tty: bool("t", "Give the command a terminal"),
  user: text("u", "User name or id, and group (name|uid[:group|gid])"),
  workdir: text("w", "Folder to start in"),
};

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  args: atLeast(2),
  flags,
  interspersed: false,
  async run(context, { values, args: [container = "", ...Cmd] }) {
    const client = await context.client();
    const { interactive, tty, detach } = values;
    const detachKeys = values["detach-keys"] || (await context.config()).data.detachKeys;
    const Env = [...values["env-file"].flatMap((path) => readKeyValueFile(path, context.env)), ...values.env];
    if (!detach) checkTerminal(context, interactive, tty);
    const size = tty && !detach ? consoleSize(context.out) : undefined;
    const spec: ExecSpec = {
      User: values.user,
      Privileged: values.privileged,
      Tty: tty,
      AttachStdin: interactive && !detach,
      AttachStdout: !detach,
      AttachStderr: !detach,
      Env,
      WorkingDir: values.workdir,
      Cmd,
      ...(detachKeys === undefined ? {} : { DetachKeys: detachKeys }),
      ...(size === undefined ? {} : { ConsoleSize: size }),
    };
    if (!detach) client.warm(2); // one for the calls, one that becomes the stream
    const id = await createExec(client, container, spec);
    if (detach) {
      await startExecDetached(client, id, { Tty: tty });
      return 0;
    }
    const { stream } = await startExec(client, id, {
      Tty: tty,
      ...(size === undefined ? {} : { ConsoleSize: size }),
    });
    const end = await joinStreams(context, stream, {
      tty,
      stdin: interactive,
      detachKeys,
      resize: (now) => resizeExec(client, id, now),
    });
    if (end === "detached") return 0;
    try {
      return (await inspectExec(client, id)).ExitCode ?? 0;
    } catch (error) {
      // The daemon went while the command ran: Docker's clients end with this code.
      if (!isCode(error, "unavailable")) throw error;
      throw new TugError("unavailable", messageOf(error), { cause: error, detail: { exitCode: 255 } });
    }
  },
});
