import { daemonOptions } from "./config/options.ts";

/** `tug daemon --help`. */
export function daemonHelp(): string {
  const types: Readonly<Record<string, string>> = {
    string: " string",
    int: " int",
    list: " list",
    map: " map",
    bool: "",
    object: "",
  };
  const rows = daemonOptions
    .filter((option) => option.kind !== "object")
    .map((option) => {
      const short = option.short ? `-${option.short}, ` : "    ";
      return [`  ${short}--${option.flag}${types[option.kind] ?? ""}`, option.help] as const;
    });
  const width = Math.max(...rows.map(([left]) => left.length)) + 3;
  const lines = rows.map(([left, right]) => `${left.padEnd(width)}${right}`);
  return `
Usage:  tug daemon [OPTIONS]

The container engine: serves Docker's API and runs containers.

Options:
${lines.join("\n")}
`;
}
