import { matches, patternPrefix, type RepositoryPattern } from "./auth/pattern.ts";
import type { RepositoryName } from "./names.ts";
import { bytesUnder } from "./records/listings.ts";
import type { Records } from "./records/records.ts";
import { SpecError } from "./spec-error.ts";

/** How many bytes repositories may hold. */
export interface QuotaRule {
  readonly pattern: RepositoryPattern;
  readonly bytes: number;
  /** `each`: every repository that matches has its own allowance; `all`: they share one. */
  readonly per: "each" | "all";
}

export interface Quotas {
  /** Throws DENIED when `added` more bytes in `name` are over a limit. */
  admit(name: RepositoryName, added: number): void;
  /** Bytes that `name` may still grow by; infinite without a limit. */
  left(name: RepositoryName): number;
}

/** Judges by the records as they are; inside a transaction that makes the judgement exact. */
export function quotas(records: Records, rules: readonly QuotaRule[]): Quotas {
  const used = (rule: QuotaRule, name: RepositoryName) =>
    rule.per === "each"
      ? (records.db
          .query<{ bytes: number }, [string]>("SELECT bytes FROM repository WHERE name = ?")
          .get(name)?.bytes ?? 0)
      : bytesUnder(records, patternPrefix(rule.pattern), (each) => matches(rule.pattern, each));
  return {
    left(name) {
      const own = rules.filter((rule) => matches(rule.pattern, name));
      return Math.min(
        Number.POSITIVE_INFINITY,
        ...own.map((rule) => Math.max(0, rule.bytes - used(rule, name))),
      );
    },
    admit(name, added) {
      for (const rule of rules) {
        if (!matches(rule.pattern, name)) continue;
        const before = used(rule, name);
        if (before + added <= rule.bytes) continue;
        throw new SpecError(
          "DENIED",
          `the quota of ${rule.bytes} bytes for ${rule.pattern.text} is used up: delete images, then wait for or run garbage collection`,
          { quota: rule.bytes, used: before, requested: added },
        );
      }
    },
  };
}
