import type { ForwardChain } from "../../../base/sys/net/nft-chains.ts";

/**
 * The same for a base chain that somebody wrote with nft: two rules at its top with our name as comment. Pure: from
 * libnftables-json(5) to nft commands.
 */
export interface NftRule {
  readonly handle: number;
  readonly comment?: string;
  readonly expr: readonly Readonly<Record<string, unknown>>[];
}

/** The rules in an answer of `list chain`. */
export function rulesOf(answer: unknown): readonly NftRule[] {
  if (typeof answer !== "object" || answer === null || !("nftables" in answer)) return [];
  const list = Array.isArray(answer.nftables) ? (answer.nftables as { readonly rule?: NftRule }[]) : [];
  return list.flatMap(({ rule }) => (rule ? [rule] : []));
}

/** Commands that make the chain accept our bridges; "" when it does, or need not. */
export function planChain(
  chain: ForwardChain,
  rules: readonly NftRule[],
  wish: { readonly instance: string; readonly bridges: readonly string[] },
): string {
  const at = `${chain.family} ${chain.table} ${chain.name}`;
  const ours = rules.filter((rule) => rule.comment === wish.instance);
  const drops = chain.policyDrops || rules.some(takesEverything);
  const wanted = wish.bridges.length > 0 && (drops || ours.length > 0) ? [...wish.bridges].sort() : [];
  const directions = wanted.length === 0 ? [] : (["iifname", "oifname"] as const);
  const fits =
    ours.length === directions.length &&
    directions.every((key) => ours.some((rule) => same(acceptedNames(rule, key), wanted)));
  if (fits) return "";
  const names = wanted.map((name) => `"${name}"`).join(", ");
  return [
    ...ours.map((rule) => `delete rule ${at} handle ${rule.handle}`),
    ...directions.map((key) => `insert rule ${at} ${key} { ${names} } accept comment "${wish.instance}"`),
    "",
  ].join("\n");
}

/** A drop or reject without a condition. */
function takesEverything(rule: NftRule): boolean {
  const kinds = rule.expr.flatMap((one) => Object.keys(one));
  return (
    kinds.some((kind) => kind === "drop" || kind === "reject") &&
    kinds.every((kind) => ["drop", "reject", "counter", "log"].includes(kind))
  );
}

/** The interface names a rule of ours accepts: libnftables writes a set of one as the bare value. */
function acceptedNames(rule: NftRule, key: "iifname" | "oifname"): readonly string[] {
  for (const one of rule.expr) {
    const match = one["match"] as
      | { readonly left?: { readonly meta?: { readonly key?: string } }; readonly right?: unknown }
      | undefined;
    if (match?.left?.meta?.key !== key) continue;
    const { right } = match;
    if (typeof right === "string") return [right];
    if (typeof right === "object" && right !== null && "set" in right && Array.isArray(right.set))
      return (right.set as string[]).toSorted();
  }
  return [];
}

function same(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name, index) => name === other[index]);
}
