/**
 * Finds the route of a method and a path. A pattern's segment is literal, `{name}` (one segment) or `{name...}` (one or more,
 * as image names contain slashes). Of two patterns that match, the one with more literal segments wins.
 */
export interface Match<T> {
  readonly value: T;
  readonly params: Readonly<Record<string, string>>;
}

interface Entry<T> {
  readonly segments: readonly string[];
  readonly literals: number;
  readonly value: T;
}

export class Router<T> {
  /** Buckets by method and first segment, which is literal in every API we serve. */
  readonly #buckets = new Map<string, Entry<T>[]>();

  add(method: string, pattern: string, value: T): void {
    const segments = pattern.split("/").slice(1);
    const key = `${method} ${segments[0] ?? ""}`;
    const entry = { segments, literals: segments.filter((s) => !s.startsWith("{")).length, value };
    const bucket = this.#buckets.get(key) ?? [];
    bucket.push(entry);
    bucket.sort((a, b) => b.literals - a.literals);
    this.#buckets.set(key, bucket);
  }

  find(method: string, path: string): Match<T> | undefined {
    const parts = path.split("/").slice(1);
    for (const entry of this.#buckets.get(`${method} ${parts[0] ?? ""}`) ?? []) {
      const params = matchSegments(entry.segments, parts);
      if (params) return { value: entry.value, params };
    }
    return undefined;
  }
}

function matchSegments(
  pattern: readonly string[],
  parts: readonly string[],
): Record<string, string> | undefined {
  if (parts.length < pattern.length) return undefined;
  const params: Record<string, string> = {};
  // Only one segment of a pattern is greedy, so it takes exactly what the others leave.
  const spare = parts.length - pattern.length;
  let at = 0;
  for (const segment of pattern) {
    const greedy = segment.endsWith("...}");
    const count = greedy ? spare + 1 : 1;
    const text = count === 1 ? (parts[at] ?? "") : parts.slice(at, at + count).join("/");
    at += count;
    if (segment.startsWith("{")) {
      if (text === "") return undefined;
      params[segment.slice(1, greedy ? -4 : -1)] = text;
    } else if (segment !== text) return undefined;
  }
  return at === parts.length ? params : undefined;
}
