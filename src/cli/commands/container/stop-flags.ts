import { integer, text } from "../../flags/flag.ts";

/** How a container is stopped, for `stop` and `restart`. */
export const stopFlags = {
  signal: text("s", "Signal to send first"),
  timeout: integer("t", "Seconds to wait before it is killed", {
    aliases: ["time"],
    deprecated: { time: "use --timeout instead" },
  }),
};

/** What is asked for: without a timeout the container's own counts. */
export function stopOptions(
  values: { readonly signal: string; readonly timeout: number },
  changed: ReadonlySet<string>,
): { readonly signal: string; readonly timeout: number | undefined } {
  return { signal: values.signal, timeout: changed.has("timeout") ? values.timeout : undefined };
}
