import { invalid } from "../../base/lib/errors.ts";
import { parseSize } from "../../base/lib/size.ts";

export interface SizeRules {
  /** Bytes where the options name no size. */
  readonly fallback?: number | undefined;
  readonly unknown: (key: string) => string;
  /** Why no size can be set here; undefined when one can. */
  readonly refusal: string | undefined;
}

/** A container's storage options, of which "size" is the only one that any driver here has; 0 is no limit. */
export function readSize(
  options: Readonly<Record<string, string>>,
  rules: SizeRules,
): { readonly size?: number } {
  const entries = Object.entries(options);
  const unknown = entries.find(([key]) => key.toLowerCase() !== "size");
  if (unknown) throw invalid(rules.unknown(unknown[0]));
  const [asked] = entries;
  if (asked && rules.refusal !== undefined) throw invalid(rules.refusal);
  const size = asked ? parseSize(asked[1]) : rules.fallback;
  return size ? { size } : {};
}
