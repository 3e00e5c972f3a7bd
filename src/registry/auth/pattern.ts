import { invalid } from "../../base/lib/errors.ts";
import type { RepositoryName } from "../names.ts";

/** Which repositories a rule is about: `*` is anything within one component of a name, `**` any number of components. */
export interface RepositoryPattern {
  readonly text: string;
  readonly expression: RegExp;
}

/** Parses "team/*", "library/**", "**". Throws invalid-argument. */
export function parsePattern(text: string): RepositoryPattern {
  if (!/^[a-z0-9._\-/*]{1,255}$/.test(text) || text.includes("***") || text.includes("//")) {
    throw invalid(
      `invalid repository pattern ${JSON.stringify(text)}: write it as a repository name, with * for part of a component and ** for any components`,
    );
  }
  const source = text
    .replace(/[.-]/g, "\\$&")
    // "a/**" is everything below a, and a itself is not.
    .replace(/\*\*|\*/g, (star) => (star === "**" ? ".*" : "[^/]*"));
  return { text, expression: new RegExp(`^${source}$`) };
}

export function matches(pattern: RepositoryPattern, name: RepositoryName): boolean {
  return pattern.expression.test(name);
}

/** What every name that matches starts with. */
export function patternPrefix(pattern: RepositoryPattern): string {
  return pattern.text.split("*", 1)[0] ?? "";
}
