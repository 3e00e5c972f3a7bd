import { invalid } from "../../../base/lib/errors.ts";
import { systemText } from "../../../base/lib/system-text.ts";
import { readWholeFile } from "../../../base/lib/whole-file.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** `-e NAME=value`, or `-e NAME` to take the value from here; a name without one is sent bare, which unsets it. */
export function envFlag(env: Environment): (value: string) => string {
  return (value) => {
    const at = value.indexOf("=");
    if (at === 0 || value === "") throw invalid(`invalid environment variable: ${value}`);
    if (at > 0) return value;
    const here = env[value];
    return here === undefined ? value : `${value}=${here}`;
  };
}

/** `--label key=value`; a value may be missing, a key may not. */
export function labelFlag(value: string): string {
  if (value.startsWith("=") || value === "") throw invalid(`invalid label '${value}': empty name`);
  return value;
}

/**
 * Reads an --env-file or --label-file, which may be a pipe: a variable a line, `#` comments, no quoting. With `env`, a name without "=" takes its
 * value from there and is left out when it has none.
 */
export function readKeyValueFile(path: string, env: Environment | undefined): string[] {
  let content: Buffer;
  try {
    content = readWholeFile(path);
  } catch (error) {
    throw invalid(`open ${path}: ${systemText(error)}`, error);
  }
  const lines: string[] = [];
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text: string;
  try {
    text = decoder.decode(content);
  } catch (error) {
    throw invalid(`invalid env file (${path}): invalid utf8 bytes`, error);
  }
  for (const raw of text.split("\n")) {
    const line = raw.replace(/\r$/, "").replace(/^[ \t]+/, "");
    if (line === "" || line.startsWith("#")) continue;
    const at = line.indexOf("=");
    const name = at < 0 ? line : line.slice(0, at);
    if (/[ \t]/.test(name))
      throw invalid(`invalid env file (${path}): variable '${name}' contains whitespaces`);
    if (name === "") throw invalid(`invalid env file (${path}): no variable name on line '${line}'`);
    if (at >= 0) lines.push(line);
    else if (env === undefined) lines.push(name);
    else if (env[name] !== undefined) lines.push(`${name}=${env[name]}`);
  }
  return lines;
}

/** "k=v" pairs as a map; the last of a key wins. */
export function pairsToMap(pairs: readonly string[]): Record<string, string> {
  const map: Record<string, string> = {};
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    map[at < 0 ? pair : pair.slice(0, at)] = at < 0 ? "" : pair.slice(at + 1);
  }
  return map;
}
