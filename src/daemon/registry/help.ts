import { optionRows } from "../help.ts";
import type { RegistryOption } from "./options.ts";

const summaries: Readonly<Record<string, readonly [usage: string, summary: string]>> = {
  serve: ["[OPTIONS]", "Run an image registry (OCI distribution spec)"],
  gc: ["[OPTIONS]", "Delete what no image needs; a registry that runs on the root does it while it serves"],
  htpasswd: ["[OPTIONS] NAME", "Print a line for a password file; the password comes from standard input"],
};

/** `tug registry --help`. */
export function registryHelp(): string {
  const rows = Object.entries(summaries).map(([name, [, summary]]) => `  ${name.padEnd(10)}${summary}`);
  return `
Usage:  tug registry COMMAND

An image registry of your own.

Commands:
${rows.join("\n")}

Run 'tug registry COMMAND --help' for more information on a command.
`;
}

/** `tug registry serve --help` and the others. */
export function subcommandHelp(name: string, options: readonly RegistryOption[]): string {
  const [usage, summary] = summaries[name] ?? ["", ""];
  return `
Usage:  tug registry ${name} ${usage}

${summary}.

Options:
${optionRows(options)}
`;
}
