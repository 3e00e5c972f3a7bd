import { invalid } from "../../base/lib/errors.ts";
import type { Filters } from "../../client/query.ts";
import type { Flag } from "./flag.ts";

/** `--filter key=value`, repeatable; keys are lower-cased as Docker does. */
export function filter(short: string, help: string): Flag<Filters> {
  return {
    kind: "filter",
    short,
    help,
    initial: {},
    set: (text, current) => {
      if (text === "") return current;
      const at = text.indexOf("=");
      if (at < 0) throw invalid("bad format of filter (expected name=value)");
      const key = text.slice(0, at).trim().toLowerCase();
      const value = text.slice(at + 1).trim();
      return { ...current, [key]: [...(current[key] ?? []), value] };
    },
  };
}
