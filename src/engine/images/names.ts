import type { Image } from "../../core/image/image.ts";

/** "localhost:5000/a:1" and "a@sha256:…" without tag and digest. */
export function repositoryOf(reference: string): string {
  const name = reference.includes("@") ? reference.slice(0, reference.indexOf("@")) : reference;
  const colon = name.lastIndexOf(":");
  return colon > name.lastIndexOf("/") ? name.slice(0, colon) : name;
}

/** Tags and digests together. */
export function referencesOf(image: Image): readonly string[] {
  return [...image.tags, ...image.digests];
}

/** Go's path.Match: `*` and `?` do not cross a slash. Undefined for a malformed pattern. */
export function globPattern(pattern: string): RegExp | undefined {
  let source = "";
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern.charAt(i);
    if (c === "*") source += "[^/]*";
    else if (c === "?") source += "[^/]";
    else if (c === "[") {
      const close = pattern.indexOf("]", i + 2);
      if (close < 0) return undefined;
      const body = pattern.slice(i + 1, close);
      source += `[${body.replace(/[\\[]/g, "\\$&")}]`;
      i = close;
    } else if (c === "\\") {
      i++;
      if (i >= pattern.length) return undefined;
      source += escaped(pattern.charAt(i));
    } else source += escaped(c);
  }
  try {
    return new RegExp(`^${source}$`, "s");
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function escaped(c: string): string {
  return c.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

/** Whether a `reference` filter's pattern matches a familiar name, with or without its tag or digest. */
export function referenceMatches(pattern: RegExp, reference: string): boolean {
  return pattern.test(reference) || pattern.test(repositoryOf(reference));
}
