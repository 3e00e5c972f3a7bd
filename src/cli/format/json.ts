/**
 * Indents JSON text without parsing it, so that large numbers, escapes and key order stay as the daemon wrote them (as Go's
 * json.Indent does for `docker inspect`).
 */
export function indentJson(text: string, prefix = "", indent = "    "): string {
  let out = "";
  let depth = 0;
  let at = 0;
  const newline = () => `\n${prefix}${indent.repeat(depth)}`;
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
      const close = /^\s*[}\]]/.exec(text.slice(at, at + 64));
      if (close) {
        out += char + (close[0].at(-1) ?? "");
        at += close[0].length;
        continue;
      }
      depth++;
      out += char + newline();
    } else if (char === "}" || char === "]") {
      depth--;
      out += newline() + char;
    } else if (char === ",") out += char + newline();
    else if (char === ":") out += ": ";
    else if (!/\s/.test(char)) out += char;
  }
  return out;
}

function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}
