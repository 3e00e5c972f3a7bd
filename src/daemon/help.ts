import { type DaemonOption, daemonOptions } from "./config/options.ts";

/** The options block of a help page, in the order of the table. */
export function optionRows(options: readonly DaemonOption[]): string {
  const types: Readonly<Record<string, string>> = {
    string: " string",
    int: " int",
    list: " list",
    map: " map",
    bool: "",
    object: "",
  };
  const rows = options
    .filter((option) => option.kind !== "object")
    .map((option) => {
      const short = option.short ? `-${option.short}, ` : "    ";
      return [`  ${short}--${option.flag}${types[option.kind] ?? ""}`, option.help] as const;
    });
  const width = Math.max(...rows.map(([left]) => left.length)) + 3;
  return rows.map(([left, right]) => `${left.padEnd(width)}${right}`).join("\n");
}

/** `tug daemon --help`. */
export function daemonHelp(): string {
  return `
Usage:  tug daemon [OPTIONS]

The container engine: serves Docker's API and runs containers.

Options:
${optionRows(daemonOptions)}
`;
}
