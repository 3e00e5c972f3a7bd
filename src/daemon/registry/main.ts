import { systemClock } from "../../base/lib/clock.ts";
import { invalid, messageOf } from "../../base/lib/errors.ts";
import { silentLog } from "../../base/lib/log.ts";
import type { GarbageReport } from "../../registry/garbage/collector.ts";
import { type OptionValues, parseFlags } from "../config/values.ts";
import { composeRegistry } from "./compose.ts";
import { loadRegistryConfig } from "./config.ts";
import { collectByServer } from "./control.ts";
import { registryHelp, subcommandHelp } from "./help.ts";
import { collectOptions, htpasswdOptions, type RegistryOption, serveOptions } from "./options.ts";
import { lockRoot, serveRegistry } from "./serve.ts";

interface Subcommand {
  readonly name: string;
  readonly options: readonly RegistryOption[];
  readonly run: (flags: OptionValues, operands: readonly string[]) => Promise<number>;
}

const subcommands: readonly Subcommand[] = [
  { name: "serve", options: serveOptions, run: serve },
  { name: "gc", options: collectOptions, run: collect },
  { name: "htpasswd", options: htpasswdOptions, run: htpasswd },
];

/** `tug registry …`: returns the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const [word, ...rest] = args;
  try {
    if (word === undefined || word === "--help" || word === "-h" || word === "help") {
      process.stdout.write(registryHelp());
      return word === undefined ? 1 : 0;
    }
    const command = subcommands.find((each) => each.name === word);
    if (!command) throw invalid(`unknown command: tug registry ${word}\nSee 'tug registry --help'.`);
    // The only one that has an operand takes it first.
    const operands =
      command.name === "htpasswd" ? rest.filter((each) => !each.startsWith("-")).slice(0, 1) : [];
    const flags = readFlags(
      command,
      operands.length > 0 ? rest.filter((each) => each !== operands[0]) : rest,
    );
    if (flags.get("help") === true) {
      process.stdout.write(subcommandHelp(command.name, command.options));
      return 0;
    }
    return await command.run(flags, operands);
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    return 1;
  }
}

function readFlags(command: Subcommand, args: readonly string[]): OptionValues {
  try {
    return parseFlags(args, command.options, `tug registry ${command.name}`);
  } catch (error) {
    throw invalid(`${messageOf(error)}\nSee 'tug registry ${command.name} --help'.`, error);
  }
}

async function serve(flags: OptionValues): Promise<number> {
  const config = loadRegistryConfig(flags, serveOptions);
  if (flags.get("validate") === true) {
    process.stdout.write("configuration OK\n");
    return 0;
  }
  return await serveRegistry(config);
}

/** Collects in the registry that runs on the root, or, when none does, here. */
async function collect(flags: OptionValues): Promise<number> {
  const config = loadRegistryConfig(flags, collectOptions);
  const options = { dryRun: flags.get("dry-run") === true, orphans: flags.get("orphans") === true };
  const lock = lockRoot(config.root);
  if (!lock) {
    if (flags.has("gc-grace") || flags.has("gc-untagged-after")) {
      throw invalid(
        "a registry is running with this root: it collects by its own settings, --gc-… cannot be given here",
      );
    }
    print(await collectByServer(config.root, options), options.dryRun);
    return 0;
  }
  using _lock = lock;
  const offline = { ...config, webhooks: [], htpasswd: undefined, token: undefined };
  await using registry = composeRegistry(offline, { clock: systemClock, log: silentLog });
  print(await registry.collector.collect(options), options.dryRun);
  return 0;
}

function print(report: GarbageReport, dryRun: boolean): void {
  const lines = [
    `manifests without tag  ${report.manifests}`,
    `blobs of repositories  ${report.links}`,
    `blobs of the storage   ${report.blobs + report.orphans}`,
    `bytes                  ${report.bytes + report.orphanBytes}`,
    ...(dryRun ? ["nothing was deleted: this was a dry run"] : []),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

/** A line for a password file; the password comes from standard input, so that no process list shows it. */
async function htpasswd(flags: OptionValues, [name]: readonly string[]): Promise<number> {
  if (name === undefined || name.includes(":"))
    throw invalid("tug registry htpasswd needs a NAME without a colon");
  const cost = flags.get("cost") ?? 10;
  if (typeof cost !== "number" || cost < 4 || cost > 31) throw invalid("--cost must be from 4 to 31");
  if (process.stdin.isTTY) process.stderr.write("Password (shown as you type): ");
  const password = (await Bun.stdin.text()).replace(/\r?\n[\s\S]*$/, "");
  if (password === "") throw invalid("the password is empty: write it to standard input");
  // bcrypt reads no further (crypt(5)).
  if (Buffer.byteLength(password) > 72)
    throw invalid("the password is longer than the 72 bytes that bcrypt reads");
  process.stdout.write(`${name}:${await Bun.password.hash(password, { algorithm: "bcrypt", cost })}\n`);
  return 0;
}
