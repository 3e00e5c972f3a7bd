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
  const reading = new FlagReading(flags);
  const args: string[] = [];
  for (let at = 0; at < argv.length && !reading.help; at++) {
    const arg = argv[at] ?? "";
    const next = () => argv[++at];
    const isFlag = arg.length > 1 && arg.startsWith("-");
    if (arg === "--") {
      args.push(...argv.slice(at + 1));
      break;
    }
    if (!isFlag && !interspersed) {
      args.push(...argv.slice(at));
      break;
    }
    if (!isFlag) args.push(arg);
    else if (arg.startsWith("--")) reading.long(arg, next);
    else reading.cluster(arg, next);
  }
  const { values, changed, notices, help } = reading;
  return { values: values as Values<F>, changed, args, notices, help };
}

/** What has been read so far; `next` gives the following argument where a flag's value is one of its own. */
class FlagReading {
  readonly values: Record<string, unknown> = {};
  readonly changed = new Set<string>();
  readonly notices: string[] = [];
  help = false;
  readonly #flags: Flags;
  /** Names and aliases, and the letters, with the names that they stand for. */
  readonly #byName = new Map<string, string>();
  readonly #byShort = new Map<string, string>();

  constructor(flags: Flags) {
    this.#flags = flags;
    for (const [name, flag] of Object.entries(flags)) {
      this.values[name] = flag.initial;
      this.#byName.set(name, name);
      for (const alias of flag.aliases ?? []) this.#byName.set(alias, name);
      if (flag.short) this.#byShort.set(flag.short, name);
    }
  }

  /** `--flag`, `--flag=value` or `--flag value`. */
  long(arg: string, next: () => string | undefined): void {
    const body = arg.slice(2);
    if (body === "" || body.startsWith("-") || body.startsWith("=")) throw invalid(`bad flag syntax: ${arg}`);
    const equals = body.indexOf("=");
    const given = equals < 0 ? body : body.slice(0, equals);
    const name = this.#byName.get(given);
    if (name === undefined) {
      if (given !== "help") throw invalid(`unknown flag: --${given}`);
      this.help = equals < 0 ? true : parseHelp(body.slice(equals + 1));
      return;
    }
    const { bare } = this.#flag(name);
    if (equals >= 0) this.#assign(name, given, body.slice(equals + 1));
    else if (bare !== undefined) this.#assign(name, given, bare);
    else {
      const value = next();
      if (value === undefined) throw invalid(`flag needs an argument: --${given}`);
      this.#assign(name, given, value);
    }
  }

  /** `-itd`, `-eVALUE`, `-e=VALUE` or `-e VALUE`: the first letter that takes a value ends the letters. */
  cluster(arg: string, next: () => string | undefined): void {
    const letters = arg.slice(1);
    for (let at = 0; at < letters.length; at++) {
      const letter = letters[at] ?? "";
      const name = this.#byShort.get(letter);
      if (name === undefined) {
        if (letter !== "h") throw invalid(`unknown shorthand flag: '${letter}' in -${letters.slice(at)}`);
        this.help = true;
        return;
      }
      const { bare } = this.#flag(name);
      const rest = letters.slice(at + 1);
      if (bare !== undefined && !rest.startsWith("=")) {
        this.#assign(name, name, bare);
        continue;
      }
      const value = rest.startsWith("=") ? rest.slice(1) : rest === "" ? next() : rest;
      if (value === undefined) throw invalid(`flag needs an argument: '${letter}' in -${letters.slice(at)}`);
      this.#assign(name, name, value);
      return;
    }
  }

  #flag(name: string): Flag<unknown> {
    return this.#flags[name] as Flag<unknown>;
  }

  #assign(name: string, given: string, value: string): void {
    const flag = this.#flag(name);
    try {
      this.values[name] = flag.set(value, this.values[name], !this.changed.has(name));
    } catch (error) {
      const shown = flag.short ? `-${flag.short}, --${name}` : `--${name}`;
      throw invalid(`invalid argument ${quote(value)} for "${shown}" flag: ${messageOf(error)}`, error);
    }
    this.changed.add(name);
    if (name === "help") this.help = this.values[name] === true;
    const advice = flag.deprecated?.[given];
    if (advice !== undefined) this.notices.push(`Flag --${given} has been deprecated, ${advice}`);
  }
}

const quote = (value: string) => JSON.stringify(value);

function parseHelp(value: string): boolean {
  if (/^(1|t|T|TRUE|true|True)$/.test(value)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(value)) return false;
  throw invalid(
    `invalid argument ${quote(value)} for "--help" flag: strconv.ParseBool: parsing ${quote(value)}: invalid syntax`,
  );
}
