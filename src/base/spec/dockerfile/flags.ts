import { invalid } from "../../lib/errors.ts";
import { withHint } from "./suggest.ts";

/** Flags of an instruction by name; "strings" may come several times. */
export type FlagTable = Readonly<Record<string, "bool" | "string" | "strings">>;

/** Values of flags: `text` of the one-valued ("" when it is not there), `list` of the others. */
export class FlagValues {
  readonly #given = new Map<string, string[]>();

  /** Throws invalid-argument with BuildKit's texts. */
  constructor(flags: readonly string[], table: FlagTable) {
    for (const flag of flags) {
      const at = flag.indexOf("=");
      const name = flag.slice(2, at < 0 ? undefined : at);
      const value = at < 0 ? undefined : flag.slice(at + 1);
      const kind = Object.hasOwn(table, name) ? table[name] : undefined;
      if (kind === undefined)
        throw invalid(withHint(`unknown flag: --${name}`, name, Object.keys(table), true));
      const earlier = this.#given.get(name);
      if (earlier && kind !== "strings") throw invalid(`duplicate flag specified: --${name}`);
      const text = kind === "bool" ? bool(name, value) : given(name, value);
      if (earlier) earlier.push(text);
      else this.#given.set(name, [text]);
    }
  }

  text(name: string): string {
    return this.#given.get(name)?.[0] ?? "";
  }

  list(name: string): readonly string[] {
    return this.#given.get(name) ?? [];
  }

  /** undefined when it is not there. */
  bool(name: string): boolean | undefined {
    const value = this.#given.get(name)?.[0];
    return value === undefined ? undefined : value === "true";
  }
}

function given(name: string, value: string | undefined): string {
  if (value === undefined) throw invalid(`missing a value on flag: --${name}`);
  return value;
}

function bool(name: string, value: string | undefined): string {
  if (value === undefined) return "true";
  if (value === "") throw invalid(`missing a value on flag: --${name}`);
  const lower = value.toLowerCase();
  if (lower === "true" || lower === "false") return lower;
  throw invalid(`expecting boolean value for flag --${name}, not: ${value}`);
}
