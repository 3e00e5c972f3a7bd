import { formatRfc3339Nano } from "../../../base/lib/timestamp.ts";
import type { EventMessage } from "../../../base/spec/docker/api.gen.ts";
import { daemonEvents } from "../../../client/system/events.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { filter } from "../../flags/filter.ts";
import { text } from "../../flags/flag.ts";
import { wrapTemplate } from "../../format/list.ts";
import { parseTimestamp } from "../../format/timestamp.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: {
    filter: filter("f", "Show only what matches a condition"),
    format: text("", "How to print: 'json' or a Go template"),
    since: text("", "Show everything since a time or in the last span"),
    until: text("", "Stop at a time or span"),
  },
  async run(context, { values }) {
    const print = await printer(values.format);
    const client = await context.client();
    const now = Date.now();
    const events = await daemonEvents(client, {
      since: values.since && parseTimestamp(values.since, now),
      until: values.until && parseTimestamp(values.until, now),
      filters: values.filter,
    });
    for await (const event of events) await context.out.write(`${print(event)}\n`);
    return 0;
  },
});

async function printer(format: string): Promise<(event: EventMessage) => string> {
  if (format === "") return eventLine;
  if (format === "json") return (event) => JSON.stringify(event);
  const { compileTemplate } = await import("../../format/template/execute.ts");
  const source = format.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
  const run = wrapTemplate("Error parsing format", () =>
    compileTemplate(source, { missing: "struct", typeName: "*events.Message" }),
  );
  return (event) => run(goEvent(event));
}

/** Every field of Go's events.Message, also those that the JSON leaves out. */
function goEvent(event: EventMessage): object {
  const legacy = {
    Status: event.Action ?? "",
    ID: event.Actor?.ID ?? "",
    From: event.Actor?.Attributes?.["image"] ?? "",
  };
  const fields: Record<string, unknown> = {
    ...legacy,
    Type: "",
    Action: "",
    Actor: {},
    Scope: event.scope ?? "",
    Time: event.time,
    TimeNano: event.timeNano,
  };
  return Object.assign(fields, {
    Type: event.Type,
    Action: event.Action,
    Actor: { ID: "", Attributes: {}, ...event.Actor },
  });
}

/** "TIME TYPE ACTION ID (key=value, ...)" with the keys in order. */
export function eventLine(event: EventMessage): string {
  const nanos = BigInt(event.timeNano ?? 0) || BigInt(event.time ?? 0) * 1_000_000_000n;
  const attributes = Object.entries(event.Actor?.Attributes ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`);
  const stamp = nanos === 0n ? "" : `${formatRfc3339Nano(nanos)} `;
  const suffix = attributes.length > 0 ? ` (${attributes.join(", ")})` : "";
  return `${stamp}${event.Type} ${event.Action} ${event.Actor?.ID ?? ""}${suffix}`;
}
