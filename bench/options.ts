import { parseArgs } from "node:util";

/** The engines that can be measured, in the order in which they are started. */
export const engineNames = ["tug", "docker", "podman"] as const;
export type EngineName = (typeof engineNames)[number];

export type Options =
  | { readonly kind: "help" }
  | { readonly kind: "list" }
  | {
      readonly kind: "run";
      /** Names of the scenarios, in the order of the table. */
      readonly scenarios: readonly string[];
      readonly engines: readonly EngineName[];
      readonly json: string | undefined;
    };

/** A mistake on the command line; nothing was started. */
export class UsageError extends Error {}

export const help = `Usage:  bench/run [OPTIONS] [SCENARIO...]

Measures Tug beside the real Docker and Podman, the same scenario on each in turn, and prints medians and ratios.
SCENARIO is a scenario's name, or a part of names; without any, all are measured.

Options:
      --engines LIST   Engines to measure: ${engineNames.join(",")} (default all that are installed; also --only-engines)
  -h, --help           Print this and measure nothing
      --json FILE      Write the numbers to a file, too
  -l, --list           Print the names of the scenarios and measure nothing

SIGINT and SIGTERM end it, and everything that it started.
`;

/** Reads the command line; throws UsageError for what it does not know. */
export function parseOptions(argv: readonly string[], names: readonly string[]): Options {
  const { values, positionals } = parsed(argv);
  if (values.help === true) return { kind: "help" };
  if (values.list === true) return { kind: "list" };
  const engines = [values.engines, values["only-engines"]]
    .flatMap((list) => list?.split(",") ?? [])
    .map((text) => {
      const name = engineNames.find((one) => one === text);
      if (name === undefined)
        throw new UsageError(
          `no engine is called ${JSON.stringify(text)}: there are ${engineNames.join(", ")}`,
        );
      return name;
    });
  const chosen = new Set(positionals.flatMap((text) => scenariosOf(text, names)));
  return {
    kind: "run",
    scenarios: positionals.length === 0 ? names : names.filter((name) => chosen.has(name)),
    engines: engines.length === 0 ? engineNames : engineNames.filter((name) => engines.includes(name)),
    json: values.json,
  };
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        engines: { type: "string" },
        "only-engines": { type: "string" },
        help: { type: "boolean", short: "h" },
        json: { type: "string" },
        list: { type: "boolean", short: "l" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** A whole name means that scenario alone, anything else all that contain it. */
function scenariosOf(text: string, names: readonly string[]): readonly string[] {
  if (names.includes(text)) return [text];
  const found = names.filter((name) => name.includes(text));
  if (text === "" || found.length === 0)
    throw new UsageError(`no scenario's name contains ${JSON.stringify(text)}: bench/run --list prints them`);
  return found;
}
