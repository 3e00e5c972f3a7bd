import { DirectiveReader } from "../dockerfile/directives.ts";

/** Docker's own frontend images, and mirrors of them by that name, mean the language, and that is built in. */
export function isBuiltIn(image: string): boolean {
  return /^(?:.*\/)?docker\/dockerfile(?:-upstream)?(?:[:@][^/]*)?$/.test(image);
}

/**
 * The line "# syntax=image …" at the top of a file, whatever the file is below: what it says, or undefined when it says nothing. Throws
 * invalid-argument for a line that comes twice.
 */
export function syntaxLine(text: string): string | undefined {
  const reader = new DirectiveReader();
  const lines = text.replace(/^\uFEFF/, "").split("\n", 16);
  // The first may be an interpreter's.
  for (const [index, line] of lines.entries()) {
    if (index === 0 && line.startsWith("#!")) continue;
    if (!reader.read(line.replace(/\r$/, ""), index + 1)) break;
  }
  return reader.found.find(({ name }) => name === "syntax")?.value;
}
