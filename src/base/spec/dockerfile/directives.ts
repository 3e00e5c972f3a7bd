import { invalid } from "../../lib/errors.ts";
import { type Directive, linesRange } from "./syntax.ts";

const shape = /^([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.*\S)\s*$/s;

/** Reads `# name=value` lines at the top of a file; ends for good at the first line that is none. */
export class DirectiveReader {
  readonly found: Directive[] = [];
  #done = false;

  /** A line without its end; true when it is a directive. Throws when one comes twice. */
  read(line: string, number: number): boolean {
    if (this.#done) return false;
    const name = directiveName(line);
    if (!name) {
      this.#done = true;
      return false;
    }
    if (this.found.some((one) => one.name === name.name))
      throw invalid(`only one ${name.name} parser directive can be used`);
    this.found.push({ ...name, range: linesRange(number, number) });
    return true;
  }
}

function directiveName(
  line: string,
): { readonly name: Directive["name"]; readonly value: string } | undefined {
  if (!line.startsWith("#")) return undefined;
  return parseDirective(line.slice(1).trimStart());
}

/** "check=skip=all": a directive without its "#", as comments of instructions have it. */
export function parseDirective(
  text: string,
): { readonly name: Directive["name"]; readonly value: string } | undefined {
  const match = shape.exec(text);
  const name = match?.[1]?.toLowerCase();
  if (name !== "syntax" && name !== "check" && name !== "escape") return undefined;
  return { name, value: match?.[2] ?? "" };
}
