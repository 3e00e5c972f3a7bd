import type { Command } from "./command.ts";
import { type Entry, entries, groups } from "./commands/table.ts";
import type { Flag, Flags } from "./flags/flag.ts";

/** Breaks text at spaces so that no line is longer than `width`; explicit line breaks stay. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else line = line === "" ? word : `${line} ${word}`;
    }
    lines.push(line);
  }
  return lines;
}

/** The options block of a help page, sorted by name, wrapped to `width`. */
function flagHelp(flags: Flags, width: number): string {
  const rows = Object.entries(flags)
    .filter(([, flag]) => !flag.hidden)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, flag]): [string, string] => [
      flagHead(name, flag),
      flag.help + (flag.shown === undefined ? "" : ` (default ${flag.shown})`),
    ]);
  const column = Math.max(0, ...rows.map(([head]) => head.length)) + 3;
  const room = Math.max(24, width - column);
  return rows
    .map(([head, help]) => head.padEnd(column) + wrap(help, room).join(`\n${" ".repeat(column)}`))
    .join("\n");
}

function flagHead(name: string, flag: Flag<unknown>): string {
  const short = flag.short ? `-${flag.short}, ` : "    ";
  return `  ${short}--${name}${flag.kind === "" ? "" : ` ${flag.kind}`}`;
}

/** The usage line or lines: "Usage:  tug run [OPTIONS] IMAGE ...". */
export function usageLine(name: string, command: Command): string {
  const forms = typeof command.usage === "string" ? [command.usage] : command.usage;
  return `Usage:  ${forms.map((form) => `${name}${form === "" ? "" : ` ${form}`}`).join("\n\t")}`;
}

/** Every way to call a command, when there is more than one. */
function waysToCall(entry: Entry): string[] {
  const words = entry.path.split(" ");
  const ways = [
    entry.path,
    ...(entry.aliases ?? []).map((alias) => [...words.slice(0, -1), alias].join(" ")),
  ];
  if (entry.top !== undefined) ways.push(entry.top);
  return ways.length > 1 ? ways.map((way) => `tug ${way}`) : [];
}

/** The help page of one command. */
export function commandHelp(name: string, entry: Entry, command: Command, width: number): string {
  const ways = waysToCall(entry);
  const options = flagHelp(command.flags, width);
  return [
    usageLine(name, command),
    entry.summary + (command.description === undefined ? "" : `\n\n${command.description}`),
    ...(ways.length > 0 ? [`Aliases:\n  ${ways.join(", ")}`] : []),
    ...(options === "" ? [] : [`Options:\n${options}`]),
  ]
    .join("\n\n")
    .concat("\n");
}

function listing(title: string, rows: readonly (readonly [string, string])[]): string {
  const column = Math.max(...rows.map(([name]) => name.length), 10) + 2;
  return `${title}:\n${rows.map(([name, summary]) => `  ${name.padEnd(column)}${summary}`).join("\n")}`;
}

/** The help page of a group: `tug container`. */
export function groupHelp(group: string): string {
  const rows = entries
    .filter((entry) => entry.section !== "hidden" && entry.path.startsWith(`${group} `))
    .map((entry) => [entry.path.slice(group.length + 1), entry.summary] as const);
  return [
    `Usage:  tug ${group} COMMAND`,
    groups[group] ?? "",
    listing("Commands", rows),
    `Run 'tug ${group} COMMAND --help' for more information on a command.\n`,
  ].join("\n\n");
}

/** The front page: `tug --help`. */
export function rootHelp(globals: Flags, width: number): string {
  const short = (entry: Entry) => entry.top ?? (entry.path.includes(" ") ? undefined : entry.path);
  const rows = (keep: (entry: Entry) => boolean) =>
    entries.flatMap((entry) => {
      const name = short(entry);
      return name !== undefined && entry.section !== "hidden" && keep(entry)
        ? [[name, entry.summary] as const]
        : [];
    });
  return [
    "Usage:  tug [OPTIONS] COMMAND",
    "A complete container platform in one executable",
    listing(
      "Common Commands",
      rows((entry) => entry.section === "common"),
    ),
    listing("Management Commands", Object.entries(groups)),
    listing("Commands", [
      ...rows((entry) => entry.section !== "common"),
      ["daemon", "Run the daemon"],
      ["registry", "Run an image registry"],
    ]),
    `Global Options:\n${flagHelp(globals, width)}`,
    "Run 'tug COMMAND --help' for more information on a command.\n",
  ].join("\n\n");
}
