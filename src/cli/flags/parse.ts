import { invalid, messageOf } from "../../base/lib/errors.ts";
import type { Flag, Flags, Values } from "./flag.ts";

export interface Parsed<F extends Flags> {
  readonly values: Values<F>;
  /** Names of the flags that were given. */
  readonly changed: ReadonlySet<string>;
  readonly args: readonly string[];
  /** Lines for stderr about deprecated names. */
  readonly notices: readonly string[];
  readonly help: boolean;
}

/**
 * Parses arguments as pflag does: clusters (`-itd`), `-eVALUE`, `-e=VALUE`, `--flag=value`, `--flag value`, and `--` as the
 * end. With `interspersed` false the first operand ends the flags: what follows belongs to the container.
 */
export function parseFlags<F extends Flags>(
  flags: F,
  argv: readonly string[],
  interspersed: boolean,
): Parsed<F> {
  const values: Record<string, unknown> = {};
  const byName = new Map<string, string>();
  const byShort = new Map<string, string>();
  for (const [name, flag] of Object.entries(flags)) {
    values[name] = flag.initial;
    byName.set(name, name);
    for (const alias of flag.aliases ?? []) byName.set(alias, name);
    if (flag.short) byShort.set(flag.short, name);
  }
  const changed = new Set<string>();
  const notices: string[] = [];
  const args: string[] = [];
  let help = false;

  const assign = (name: string, given: string, value: string) => {
    const flag = flags[name] as Flag<unknown>;
    try {
      values[name] = flag.set(value, values[name], !changed.has(name));
    } catch (error) {
      const shown = flag.short ? `-${flag.short}, --${name}` : `--${name}`;
      throw invalid(`invalid argument ${quote(value)} for "${shown}" flag: ${messageOf(error)}`, error);
    }
    changed.add(name);
    if (name === "help") help = values[name] === true;
    const advice = flag.deprecated?.[given];
    if (advice !== undefined) notices.push(`Flag --${given} has been deprecated, ${advice}`);
  };

  const long = (arg: string, next: () => string | undefined) => {
    const body = arg.slice(2);
    if (body === "" || body.startsWith("-") || body.startsWith("=")) throw invalid(`bad flag syntax: ${arg}`);
    const equals = body.indexOf("=");
    const given = equals < 0 ? body : body.slice(0, equals);
    const name = byName.get(given);
    if (name === undefined) {
      if (given !== "help") throw invalid(`unknown flag: --${given}`);
      help = equals < 0 ? true : parseHelp(body.slice(equals + 1));
      return;
    }
    const flag = flags[name] as Flag<unknown>;
    if (equals >= 0) assign(name, given, body.slice(equals + 1));
    else if (flag.bare !== undefined) assign(name, given, flag.bare);
    else {
      const value = next();
      if (value === undefined) throw invalid(`flag needs an argument: --${given}`);
      assign(name, given, value);
    }
  };

  const cluster = (arg: string, next: () => string | undefined) => {
    const letters = arg.slice(1);
    for (let at = 0; at < letters.length; at++) {
      const letter = letters[at] ?? "";
      const name = byShort.get(letter);
      if (name === undefined) {
        if (letter === "h") {
          help = true;
          return;
        }
        throw invalid(`unknown shorthand flag: '${letter}' in -${letters.slice(at)}`);
      }
      const flag = flags[name] as Flag<unknown>;
      const rest = letters.slice(at + 1);
      if (rest.startsWith("=")) return assign(name, name, rest.slice(1));
      if (flag.bare !== undefined) {
        assign(name, name, flag.bare);
        continue;
      }
      if (rest !== "") return assign(name, name, rest);
      const value = next();
      if (value === undefined) throw invalid(`flag needs an argument: '${letter}' in -${letters.slice(at)}`);
      return assign(name, name, value);
    }
  };

  for (let at = 0; at < argv.length; at++) {
    const arg = argv[at] ?? "";
    const next = () => argv[++at];
    if (arg === "--") {
      args.push(...argv.slice(at + 1));
      break;
    }
    if (arg.length < 2 || !arg.startsWith("-")) {
      if (!interspersed) {
        args.push(...argv.slice(at));
        break;
      }
      args.push(arg);
    } else if (arg.startsWith("--")) long(arg, next);
    else cluster(arg, next);
    if (help) break;
  }
  return { values: values as Values<F>, changed, args, notices, help };
}

const quote = (value: string) => JSON.stringify(value);

function parseHelp(value: string): boolean {
  if (/^(1|t|T|TRUE|true|True)$/.test(value)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(value)) return false;
  throw invalid(
    `invalid argument ${quote(value)} for "--help" flag: strconv.ParseBool: parsing ${quote(value)}: invalid syntax`,
  );
}
