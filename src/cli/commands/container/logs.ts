import { inspectContainer } from "../../../client/containers/inspect.ts";
import { containerLogs } from "../../../client/containers/logs.ts";
import { copyRaw, demultiplex } from "../../../client/stream/frames.ts";
import { defineCommand, exactly } from "../../command.ts";
import { bool, text } from "../../flags/flag.ts";
import { timestampFlag } from "../../format/timestamp.ts";

const flags = {
  details: bool("", "Show the extra attributes given with --log-opt"),
  follow: bool("f", "Go on with what the container writes from now on"),
  since: text("", 'Show what came after a time ("2026-01-02T13:23:37Z") or in the last span ("42m")'),
  tail: text("n", "How many lines from the end", { initial: "all" }),
  timestamps: bool("t", "Put the time before each line"),
  until: text("", 'Show what came before a time ("2026-01-02T13:23:37Z") or an earlier span ("42m")'),
};

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER",
  args: exactly(1),
  flags,
  async run(context, { values, args: [id = ""] }) {
    const client = await context.client();
    const now = Date.now();
    const container = await inspectContainer(client, id);
    const reply = await containerLogs(client, container.Id ?? id, {
      stdout: true,
      stderr: true,
      follow: values.follow,
      timestamps: values.timestamps,
      details: values.details,
      since: values.since && timestampFlag("since", values.since, now),
      until: values.until && timestampFlag("until", values.until, now),
      tail: values.tail,
    });
    const stdout = (chunk: Uint8Array) => context.out.write(chunk);
    const stderr = (chunk: Uint8Array) => context.err.write(chunk);
    if (container.Config?.Tty) await copyRaw(reply.body, stdout);
    else await demultiplex(reply.body, { stdout, stderr });
    return 0;
  },
});
