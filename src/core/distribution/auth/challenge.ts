/** One challenge of a WWW-Authenticate header (RFC 9110, 11.6.1). Scheme and parameter names in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const spaces = /[ \t]*/y;
const quoted = /"((?:[^"\\]|\\.)*)"/y;

/** Reads all challenges of a header; stops at the first thing that is none. */
export function parseChallenges(header: string): readonly Challenge[] {
  const found: { scheme: string; parameters: Record<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match) at = pattern.lastIndex;
    return match;
  };
  while (at < header.length) {
    take(spaces);
    if (header[at] === ",") {
      at++;
      continue;
    }
    const name = take(token)?.[0];
    if (name === undefined) break;
    take(spaces);
    const current = found.at(-1);
    if (header[at] !== "=") {
      found.push({ scheme: name.toLowerCase(), parameters: Object.create(null) as Record<string, string> });
      continue;
    }
    if (!current) break;
    at++;
    take(spaces);
    const text = take(quoted)?.[1]?.replace(/\\(.)/g, "$1") ?? take(token)?.[0];
    if (text === undefined) break;
    current.parameters[name.toLowerCase()] = text;
  }
  return found;
}
