/**
 * Indents JSON text so that large numbers, escapes and key order stay as the daemon wrote them (as Go's json.Indent does for
 * `docker inspect`).
 */
export function indentJson(text: string, indent = "    "): string {
  return indentRegular(text, indent) ?? indentByHand(text, indent);
}

/** Parsed and written anew, which is several times as fast, where that changes nothing. */
function indentRegular(text: string, indent: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return JSON.stringify(value) === text ? JSON.stringify(value, null, indent) : undefined;
  } catch (error) {
    // No JSON, or nested too deeply for the parser.
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error;
  }
}

function indentByHand(text: string, indent: string): string {
  const lines: string[] = [];
  const newline = () => {
    lines[depth] ??= `\n${indent.repeat(depth)}`;
    return lines[depth] ?? "";
  };
  let out = "";
  let depth = 0;
  let at = 0;
  while (at < text.length) {
    const char = text[at] ?? "";
    if (char === '"') {
      const end = stringEnd(text, at);
      out += text.slice(at, end);
      at = end;
      continue;
    }
    at++;
    if (char === "{" || char === "[") {
      while (isSpace(text[at])) at++;
      const next = text[at];
      if (next === "}" || next === "]") {
        out += char + next;
        at++;
        continue;
      }
      depth++;
      out += char + newline();
    } else if (char === "}" || char === "]") {
      depth = Math.max(0, depth - 1);
      out += newline() + char;
    } else if (char === ",") out += char + newline();
    else if (char === ":") out += ": ";
    else if (!isSpace(char)) out += char;
  }
  return out;
}

const isSpace = (char: string | undefined) => char === " " || char === "\n" || char === "\r" || char === "\t";

/** Where the string that begins at `start` is over: behind the first quote that no backslash escapes. */
function stringEnd(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let escapes = 0;
    while (text[at - 1 - escapes] === "\\") escapes++;
    if (escapes % 2 === 0) return at + 1;
  }
  return text.length;
}
