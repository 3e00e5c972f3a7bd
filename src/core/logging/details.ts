import { invalid, messageOf } from "../../base/lib/errors.ts";
import type { LogContext } from "./logging.ts";

/**
 * The attributes that options choose to go with each record (`labels`, `labels-regex`, `env`, `env-regex`, `tag`); `rename` lets a driver
 * spell the keys its own way, as journald does.
 */
export function logAttributes(
  context: Pick<LogContext, "labels" | "env" | "options">,
  rename: (key: string) => string = (key) => key,
): Record<string, string> {
  const { options, labels } = context;
  const attributes: Record<string, string> = {};
  const env = Object.fromEntries(
    context.env.map((entry) => {
      const at = entry.indexOf("=");
      return at < 0 ? [entry, ""] : [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
  for (const [source, names, pattern] of [
    [labels, options["labels"], options["labels-regex"]],
    [env, options["env"], options["env-regex"]],
  ] as const) {
    for (const name of (names ?? "").split(",")) {
      const value = Object.hasOwn(source, name) ? source[name] : undefined;
      if (value !== undefined) attributes[rename(name)] = value;
    }
    if (pattern === undefined || pattern === "") continue;
    const regex = compile(pattern);
    for (const [name, value] of Object.entries(source))
      if (regex.test(name)) attributes[rename(name)] = value;
  }
  return attributes;
}

/** What `logs --details` shows: sorted, URL-encoded "a=1,b=2". */
export function detailsText(attributes: Readonly<Record<string, string>>): string {
  return Object.entries(attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${queryEscape(key)}=${queryEscape(value)}`)
    .join(",");
}

/** Go's url.QueryEscape. */
function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replaceAll("%20", "+")
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

export function compile(pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch (error) {
    throw invalid(`error parsing regexp: ${messageOf(error)}`, error);
  }
}
