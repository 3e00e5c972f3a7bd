import { messageOf, TugError } from "../../base/lib/errors.ts";

/** An event as the wire has it; the time in nanoseconds as it was written. */
interface Event {
  readonly status?: string;
  readonly id?: string;
  readonly from?: string;
  readonly Type?: string;
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> | null };
  readonly scope?: string;
  readonly time?: number;
  readonly timeNano?: bigint;
}

/** Turns one line of the event stream into what `events` prints. */
export type EventFormat = (line: string) => string;

/**
 * `--format` of `events`: nothing for Docker's line, `json` for the event as it came, or a Go template. As Docker does, a template is tried on
 * an empty event first: a mistake must not wait until something happens.
 */
export async function eventFormat(format: string): Promise<EventFormat> {
  if (format === "") return (line) => `${eventLine(parse(line))}\n`;
  if (/^(json|\{\{ *json +\. *\}\})$/.test(format)) return (line) => `${line.trim()}\n`;
  const { compileTemplate } = await import("./template/execute.ts");
  const run = failing(() => compileTemplate(format, { missing: "struct", typeName: "*events.Message" }));
  failing(() => run(view({})));
  return (line) => `${failing(() => run(view(parse(line))))}\n`;
}

function failing<T>(step: () => T): T {
  try {
    return step();
  } catch (cause) {
    throw new TugError("invalid-argument", `Error parsing format: ${messageOf(cause)}`, {
      cause,
      detail: { exitCode: 64 },
    });
  }
}

function parse(line: string): Event {
  try {
    return JSON.parse(line, (key, value: unknown, context?: { readonly source?: string }) =>
      key === "timeNano" && typeof value === "number" ? BigInt(context?.source ?? value) : value,
    ) as Event;
  } catch (cause) {
    throw new TugError("internal", "the daemon's stream is not valid JSON", { cause });
  }
}

/** "2026-11-21T06:05:46.315242129Z image tag sha256:... (name=busybox)"; attributes in the order of their names. */
function eventLine(event: Event): string {
  const attributes = Object.entries(event.Actor?.Attributes ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`);
  const time = stamp(event);
  const head = `${time === "" ? "" : `${time} `}${event.Type ?? ""} ${event.Action ?? ""} ${event.Actor?.ID ?? ""}`;
  return attributes.length === 0 ? head : `${head} (${attributes.join(", ")})`;
}

/** Local time with all nine digits. */
function stamp(event: Event): string {
  const nano = event.timeNano ?? BigInt(event.time ?? 0) * 1_000_000_000n;
  if (nano === 0n) return "";
  const seconds = Number(nano / 1_000_000_000n);
  const offset = -new Date(seconds * 1000).getTimezoneOffset();
  const clock = new Date((seconds + offset * 60) * 1000).toISOString().slice(0, 19);
  const two = (n: number) => String(Math.trunc(n)).padStart(2, "0");
  const zone =
    offset === 0
      ? "Z"
      : `${offset < 0 ? "-" : "+"}${two(Math.abs(offset) / 60)}:${two(Math.abs(offset) % 60)}`;
  return `${clock}.${String(nano % 1_000_000_000n).padStart(9, "0")}${zone}`;
}

/** Docker's field names. */
function view(event: Event): object {
  return {
    Status: event.status ?? "",
    ID: event.id ?? "",
    From: event.from ?? "",
    Type: event.Type ?? "",
    Action: event.Action ?? "",
    Actor: {
      ID: event.Actor?.ID ?? "",
      Attributes: Object.assign(Object.create(null), event.Actor?.Attributes),
    },
    Scope: event.scope ?? "",
    Time: event.time ?? 0,
    TimeNano: event.timeNano ?? 0n,
  };
}
