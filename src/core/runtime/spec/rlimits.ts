import { invalid } from "../../../base/lib/errors.ts";

export interface Ulimit {
  readonly Name?: string | undefined;
  readonly Soft?: number | undefined;
  readonly Hard?: number | undefined;
}

export interface Rlimit {
  readonly type: string;
  readonly hard: number;
  readonly soft: number;
}

/** RLIM_INFINITY as a double; `stringifySpec` writes it as 2^64-1. */
export const UNLIMITED = 2 ** 64;

/** What an ulimit may be called: the rlimits of setrlimit(2), in lower case. */
export const ULIMIT_NAMES: ReadonlySet<string> = new Set([
  "core",
  "cpu",
  "data",
  "fsize",
  "locks",
  "memlock",
  "msgqueue",
  "nice",
  "nofile",
  "nproc",
  "rss",
  "rtprio",
  "rttime",
  "sigpending",
  "stack",
]);

/**
 * The process's rlimits: the daemon's defaults overridden by name. A value over the daemon's own hard limit is lowered to it,
 * with a warning, because nobody without CAP_SYS_RESOURCE can raise it.
 */
export function processRlimits(
  defaults: readonly Ulimit[],
  asked: readonly Ulimit[],
  hardLimits: Readonly<Record<string, number>>,
): { readonly rlimits: readonly Rlimit[]; readonly warnings: readonly string[] } {
  const byName = new Map<string, Rlimit>();
  const warnings: string[] = [];
  for (const [list, warn] of [
    [defaults, false],
    [asked, true],
  ] as const) {
    for (const limit of list) {
      const name = (limit.Name ?? "").toLowerCase();
      if (!ULIMIT_NAMES.has(name)) throw invalid(`invalid ulimit type: ${limit.Name ?? ""}`);
      const soft = limitValue(limit.Soft);
      const hard = limitValue(limit.Hard ?? limit.Soft);
      if (soft > hard)
        throw invalid(
          `ulimit soft limit must be less than or equal to hard limit: ${limit.Soft} > ${limit.Hard}`,
        );
      const type = `RLIMIT_${name.toUpperCase()}`;
      const ceiling = hardLimits[type] ?? UNLIMITED;
      if (hard > ceiling && warn)
        warnings.push(`The ulimit ${name} was lowered to the daemon's hard limit of ${ceiling}.`);
      byName.set(type, { type, hard: Math.min(hard, ceiling), soft: Math.min(soft, ceiling) });
    }
  }
  return { rlimits: [...byName.values()], warnings };
}

function limitValue(value: number | undefined): number {
  if (value === undefined) return 0;
  if (!Number.isInteger(value) || value < -1) throw invalid(`invalid ulimit value: ${value}`);
  return value === -1 ? UNLIMITED : value;
}
