import { messageOf } from "../base/lib/errors.ts";
import { commitId, tugVersion } from "../base/lib/product.ts";
import { type Command, countComplaint } from "./command.ts";
import { type Entry, entries, groups } from "./commands/table.ts";
import type { Context, GlobalOptions } from "./context.ts";
import { exitCodeOf, failureText, isBrokenPipe } from "./exit.ts";
import { parseFlags } from "./flags/parse.ts";
import { globalFlags } from "./globals.ts";
import { StandardInput } from "./io/input.ts";
import { FdOutput, type Output } from "./io/output.ts";

/** Runs `tug` with the arguments behind its name; resolves with the exit code, everything written. */
export async function main(argv: readonly string[]): Promise<number> {
  const { out, err } = FdOutput.pair();
  let code: number;
  try {
    code = await dispatch(argv, out, err);
    await out.flush();
  } catch (error) {
    code = isBrokenPipe(error) ? 1 : exitCodeOf(error);
    const text = isBrokenPipe(error) ? undefined : failureText(error, asksForDetail(argv));
    await out.flush().catch(() => undefined); // the reader is gone; the failure is told on stderr
    if (text !== undefined) await err.write(text).catch(() => undefined); // stderr is gone: nobody to tell
  }
  await err.flush().catch(() => undefined);
  return code;
}

/** `-D` before the command: failures show what caused them. */
function asksForDetail(argv: readonly string[]): boolean {
  const command = argv.findIndex((word) => !word.startsWith("-"));
  return argv
    .slice(0, command < 0 ? argv.length : command)
    .some((word) => word === "-D" || word === "--debug");
}

async function dispatch(argv: readonly string[], out: Output, err: Output): Promise<number> {
  let globals: ReturnType<typeof parseFlags<typeof globalFlags>>;
  try {
    globals = parseFlags(globalFlags, argv, false);
  } catch (error) {
    await err.write(
      `${messageOf(error)}\n\nUsage:  tug [OPTIONS] COMMAND [ARG...]\n\nRun 'tug --help' for more information\n`,
    );
    return 125;
  }
  const { values, args } = globals;
  if (!/^(debug|info|warn|error|fatal)$/.test(values["log-level"])) {
    await err.write(`unable to parse logging level: ${values["log-level"]}\n`);
    return 1;
  }
  const bareHelp = args.length === 1 && args[0] === "help";
  if (globals.help || bareHelp || (args.length === 0 && !values.version)) {
    const { rootHelp } = await import("./help.ts");
    await out.write(rootHelp(globalFlags, width(out)));
    return 0;
  }
  if (values.version) {
    await out.write(`Tug version ${tugVersion}, build ${commitId}\n`);
    return 0;
  }
  const found = lookUp(args);
  if (found.kind === "group") return await groupPage(found.group, found.rest, out, err);
  if (found.kind === "unknown") {
    await err.write(`tug: unknown command: tug ${args[0]}\n\nRun 'tug --help' for more information\n`);
    return 1;
  }
  const options: GlobalOptions = {
    host: values.host.at(-1),
    context: values.context || undefined,
    configDir: values.config || undefined,
    debug: values.debug,
    tls: values.tls,
    tlsverify: values.tlsverify,
    tlscacert: values.tlscacert || undefined,
    tlscert: values.tlscert || undefined,
    tlskey: values.tlskey || undefined,
  };
  return await runCommand(found.entry, found.name, found.rest, makeContext(options, out, err));
}

type Found =
  | {
      readonly kind: "command";
      readonly entry: Entry;
      readonly name: string;
      readonly rest: readonly string[];
    }
  | { readonly kind: "group"; readonly group: string; readonly rest: readonly string[] }
  | { readonly kind: "unknown" };

/** Finds the command for the words typed: "ps", "container ps", "container ls" and "container list" are one. */
export function lookUp(words: readonly string[]): Found {
  const first = words[0] === "help" ? "" : (words[0] ?? "");
  if (words[0] === "help" && words.length === 1) return { kind: "unknown" };
  if (words[0] === "help") {
    const target = lookUp(words.slice(1));
    return target.kind === "command" ? { ...target, rest: ["--help"] } : target;
  }
  const top = entries.find((entry) => entry.path === first || entry.top === first);
  if (top) return { kind: "command", entry: top, name: `tug ${first}`, rest: words.slice(1) };
  if (!(first in groups)) return { kind: "unknown" };
  const second = words[1] ?? "";
  const entry = entries.find(({ path, aliases }) => {
    const [group, verb = ""] = path.split(" ");
    return group === first && (verb === second || aliases?.includes(second));
  });
  if (entry) return { kind: "command", entry, name: `tug ${first} ${second}`, rest: words.slice(2) };
  return { kind: "group", group: first, rest: words.slice(1) };
}

async function groupPage(group: string, rest: readonly string[], out: Output, err: Output): Promise<number> {
  const { groupHelp } = await import("./help.ts");
  const word = rest[0];
  if (word === undefined || word === "--help" || word === "-h") {
    await (word === undefined ? err : out).write(groupHelp(group));
    return 0;
  }
  const name = `tug ${group}`;
  const complaint = word.startsWith("-") ? `unknown flag: ${word}` : `tug: unknown command: ${name} ${word}`;
  await err.write(`${complaint}\n\nUsage:  ${name}\n\nRun '${name} --help' for more information\n`);
  return word.startsWith("-") ? 125 : 1;
}

async function runCommand(
  entry: Entry,
  name: string,
  argv: readonly string[],
  context: Context,
): Promise<number> {
  const { command } = await entry.load();
  let call: ReturnType<typeof parseFlags>;
  try {
    call = parseFlags(command.flags, argv, command.interspersed !== false);
  } catch (error) {
    return await usageFailure(context, name, command, messageOf(error), 125, "Run");
  }
  if (call.help) {
    const { commandHelp } = await import("./help.ts");
    await context.out.write(commandHelp(name, entry, command, width(context.out)));
    return 0;
  }
  for (const notice of call.notices) await context.err.write(`${notice}\n`);
  const complaint = countComplaint(name, command.args, call.args.length);
  if (complaint !== undefined) {
    const verb = command.args.max === Number.POSITIVE_INFINITY ? "See" : "Run";
    return await usageFailure(context, name, command, `tug: ${complaint}`, 1, verb);
  }
  return await command.run(context, { values: call.values, changed: call.changed, args: call.args, name });
}

async function usageFailure(
  context: Context,
  name: string,
  command: Command,
  text: string,
  code: number,
  verb: string,
) {
  const { usageLine } = await import("./help.ts");
  await context.err.write(
    `${text}\n\n${usageLine(name, command)}\n\n${verb} '${name} --help' for more information\n`,
  );
  return code;
}

function makeContext(globals: GlobalOptions, out: Output, err: Output): Context {
  const env = process.env;
  let config: ReturnType<Context["config"]> | undefined;
  let client: ReturnType<Context["client"]> | undefined;
  const context: Context = {
    env,
    out,
    err,
    in: new StandardInput(),
    globals,
    config: () =>
      (config ??= import("./config/config-file.ts").then(async ({ loadConfig }) => {
        const loaded = await loadConfig(env, globals.configDir);
        if (loaded.damage) await err.write(`WARNING: ${loaded.damage.message}\n`);
        return loaded;
      })),
    client: () => (client ??= import("./connect.ts").then(({ connect }) => connect(context))),
  };
  return context;
}

const width = (out: Output) => (out.isTerminal ? out.size().width || 80 : 80);
