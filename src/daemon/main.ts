import { invalid, messageOf } from "../base/lib/errors.ts";
import { tugVersion } from "../base/lib/product.ts";
import { loadConfig } from "./config/config.ts";
import { parseFlags } from "./config/values.ts";
import { daemonHelp } from "./help.ts";
import { runDaemon } from "./run.ts";

/** A mistake in the flags points at the help. */
function readFlags(args: readonly string[]): ReturnType<typeof parseFlags> {
  try {
    return parseFlags(args);
  } catch (error) {
    throw invalid(`${messageOf(error)}\nSee 'tug daemon --help'.`, error);
  }
}

/** `tug daemon …`: returns the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const flags = readFlags(args);
    if (flags.get("help") === true) {
      process.stdout.write(daemonHelp());
      return 0;
    }
    if (flags.get("version") === true) {
      process.stdout.write(`Tug version ${tugVersion}\n`);
      return 0;
    }
    if (flags.get("validate") === true) {
      loadConfig(flags);
      process.stdout.write("configuration OK\n");
      return 0;
    }
    if (process.geteuid?.() !== 0) {
      process.stderr.write("tug daemon needs to be started with root privileges (try: sudo tug daemon)\n");
      return 1;
    }
    return await runDaemon(flags);
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    return 1;
  }
}
