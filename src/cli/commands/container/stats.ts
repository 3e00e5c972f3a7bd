import { isCode, messageOf } from "../../../base/lib/errors.ts";
import { listContainers } from "../../../client/containers/list.ts";
import { daemonEvents } from "../../../client/system/events.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { bool, text } from "../../flags/flag.ts";
import { renderList } from "../../format/list.ts";
import { statsSpec } from "../../format/stats.ts";
import { StatsBoard } from "../../stats/board.ts";

/** A frame over the last one: each line clears its rest, the end clears what was longer before. No flicker. */
const overdraw = (frame: string) => `\x1b[H${frame.replaceAll("\n", "\x1b[K\n")}\x1b[J`;

export const command = defineCommand({
  usage: "[OPTIONS] [CONTAINER...]",
  args: atLeast(0),
  flags: {
    all: bool("a", "Show stopped containers too"),
    format: text("", "How to print: 'table', 'table TEMPLATE', 'json' or a Go template"),
    "no-stream": bool("", "Print one sample and stop"),
    "no-trunc": bool("", "Do not shorten columns"),
  },
  async run(context, { values, args }) {
    const client = await context.client();
    const format = values.format || ((await context.config()).data.statsFormat ?? "");
    const stop = new AbortController();
    const board = new StatsBoard(client, stop.signal, !values["no-stream"]);
    const everyone = args.length === 0;
    // Before the list, so that none is missed that starts meanwhile.
    if (everyone && !values["no-stream"])
      follow(client, board, values.all, stop.signal).catch((error: unknown) => stop.abort(error));
    const names = everyone
      ? (await listContainers(client, { all: values.all })).map((container) => container.Id ?? "")
      : args;
    for (const name of names) board.add(name);
    const spec = statsSpec(values["no-trunc"]);
    const draw = async () => await renderList(spec, board.rows(), { format });
    await board.firstSamples();
    // A container that is not there is told at once, before anything is drawn.
    const missing = everyone ? undefined : board.failures().find((failure) => failure !== undefined);
    if (missing !== undefined) throw missing;
    if (values["no-stream"]) {
      await context.out.write(await draw());
      return 0;
    }
    const live = context.out.isTerminal && (format === "" || format.startsWith("table"));
    if (live) await context.out.write("\x1b[2J");
    while (!stop.signal.aborted && (everyone || !board.finished())) {
      const frame = await draw();
      await context.out.write(live ? overdraw(frame) : frame);
      await Bun.sleep(500);
    }
    const failure: unknown = stop.signal.aborted
      ? stop.signal.reason
      : board.failures().find((one) => one !== undefined);
    if (failure === undefined) return 0;
    // A daemon that is restarted ends the view: for Docker that is no failure.
    if (!isCode(failure, "unavailable")) throw failure;
    await context.err.write(`${messageOf(failure)}\n`);
    return 0;
  },
});

/** Containers that start join the board, those that end leave it. */
async function follow(
  client: Parameters<typeof listContainers>[0],
  board: StatsBoard,
  all: boolean,
  signal: AbortSignal,
): Promise<void> {
  const events = await daemonEvents(client, {
    filters: { type: ["container"], event: ["create", "start", "die", "destroy"] },
    signal,
  });
  for await (const event of events) {
    const id = event.Actor?.ID ?? "";
    if (event.Action === "start" || (event.Action === "create" && all)) board.add(id);
    else if (event.Action === "destroy" || (event.Action === "die" && !all)) board.remove(id);
  }
}
