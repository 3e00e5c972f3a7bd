const normal = (name: string) => {
  const upper = name.trim().toUpperCase();
  return upper === "ALL" || upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
};

const collect = (names: readonly string[]): Set<string> => {
  const set = new Set(names.map(normal));
  return set.has("ALL") ? new Set(["ALL"]) : set; // says everything
};

/** --cap-add and --cap-drop in the form the daemon wants: full names, sorted, and adding wins over dropping. */
export function effectiveCapabilities(
  add: readonly string[],
  drop: readonly string[],
): { add: string[]; drop: string[] } {
  const added = collect(add);
  const dropped = [...collect(drop)].filter((name) => !added.has(name));
  return { add: [...added].sort(), drop: dropped.sort() };
}
