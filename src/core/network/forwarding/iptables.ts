/**
 * What iptables' filter table needs so that its FORWARD chain lets packets of our bridges pass; pure: from what `iptables -S` lists
 * to the input of `iptables-restore --noflush`.
 *
 * All accepts stand in one chain of ours, jumped to from where the administrator's own rules have spoken: at the end of
 * DOCKER-USER when Docker is there (which documents that chain for this), after ufw's `route` rules, else at the top of FORWARD.
 * What goes into a bridge of ours is accepted, since our own table drops what is not published; what comes from one is accepted,
 * except into Docker's bridges, where Docker's rules decide.
 */
export interface IptablesWish {
  /** Name of this daemon: comment of every rule, prefix of the chain. */
  readonly instance: string;
  /** None: everything of ours goes. */
  readonly bridges: readonly string[];
}

/** Chain names may have 28 characters (XT_EXTENSION_MAXNAMELEN - 1); the longest instance name has 12. */
const chainOf = (instance: string): string => `${instance}-forward`;

/** `listing`: the output of `iptables -S`. Undefined: nothing is to be done. */
export function planIptables(listing: string, wish: IptablesWish): string | undefined {
  const lines = listing.split("\n").map((line) => line.trim());
  const chain = chainOf(wish.instance);
  const comment = `-m comment --comment ${wish.instance}`;
  const rulesOf = (name: string) => lines.filter((line) => line.startsWith(`-A ${name} `));
  const isJump = (line: string) => line.startsWith("-A ") && line.endsWith(` -j ${chain}`);
  const jumps = lines.filter(isJump);
  const exists = lines.includes(`-N ${chain}`);
  const wanted = wish.bridges.length > 0 && (exists || forwardDrops(lines));
  if (!wanted) {
    if (!exists) return undefined;
    return restore([...jumps.map((line) => line.replace("-A", "-D")), `-F ${chain}`, `-X ${chain}`]);
  }
  const accepts = [
    ...wish.bridges.map((bridge) => `-A ${chain} -o ${bridge} ${comment} -j ACCEPT`),
    ...dockerBridges(lines)
      .filter((bridge) => !wish.bridges.includes(bridge))
      .map((bridge) => `-A ${chain} -o ${bridge} ${comment} -j RETURN`),
    ...wish.bridges.map((bridge) => `-A ${chain} -i ${bridge} ${comment} -j ACCEPT`),
  ];
  const parent = rulesOf("FORWARD").some((line) => line.endsWith(" -j DOCKER-USER"))
    ? "DOCKER-USER"
    : "FORWARD";
  const others = rulesOf(parent);
  // Others insert rules of theirs above ours; it only matters that a packet comes by.
  const reached = others.findIndex(isJump);
  const end = others.findIndex(isFinal);
  const placed =
    jumps.length === 1 && reached >= 0 && (end < 0 || reached < end) && rulesOf("FORWARD").length > 0;
  if (placed && same(rulesOf(chain), accepts)) return undefined;
  const position = insertionPoint(
    parent,
    others.filter((line) => !isJump(line)),
  );
  return restore([
    `:${chain} - [0:0]`,
    ...accepts,
    ...(placed
      ? []
      : [
          ...jumps.map((line) => line.replace("-A", "-D")),
          `-I ${parent} ${position + 1} ${comment} -j ${chain}`,
        ]),
  ]);
}

/** True when FORWARD ends in a drop: by its policy, or by a last rule that takes everything (as on RHEL). */
function forwardDrops(lines: readonly string[]): boolean {
  if (lines.includes("-P FORWARD DROP")) return true;
  return lines.some(
    (line) => line.startsWith("-A FORWARD ") && isFinal(line) && !line.includes(" -j RETURN"),
  );
}

/** A rule without a condition after which nothing comes: what stands behind it is never asked. */
function isFinal(line: string): boolean {
  return /^-A \S+(?: -m comment --comment (?:"[^"]*"|\S+))? -j (?:DROP|RETURN|REJECT(?: --reject-with \S+)?)$/.test(
    line,
  );
}

/** Interfaces that Docker hands to its DOCKER chain: its bridges, whatever they are called. */
function dockerBridges(lines: readonly string[]): readonly string[] {
  return [...new Set(lines.flatMap((line) => /^-A \S+ -o (\S+) -j DOCKER$/.exec(line)?.[1] ?? []))];
}

/** How many rules of `parent` come before ours. */
function insertionPoint(parent: string, rules: readonly string[]): number {
  if (parent === "DOCKER-USER") {
    const end = rules.findIndex(isFinal);
    return end < 0 ? rules.length : end;
  }
  return rules.findIndex((line) => line.endsWith(" -j ufw-before-forward")) + 1;
}

function same(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((line, index) => line === other[index]);
}

function restore(commands: readonly string[]): string {
  return ["*filter", ...commands, "COMMIT", ""].join("\n");
}
