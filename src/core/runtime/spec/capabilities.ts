import { invalid } from "../../../base/lib/errors.ts";

/** The capabilities a container has unless it asks otherwise. */
const DEFAULT_CAPABILITIES: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
];

const ALL = "ALL";

/** Upper case with the CAP_ prefix; throws Docker's text for a name that is no capability. */
export function parseCapabilities(
  option: "CapAdd" | "CapDrop",
  names: readonly string[],
  known: readonly string[],
): readonly string[] {
  return names.map((name) => {
    const upper = name.toUpperCase();
    if (upper === ALL) return ALL;
    const full = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
    if (!known.includes(full)) throw invalid(`invalid ${option}: unknown capability: "${full}"`);
    return full;
  });
}

/**
 * The capabilities of a container. `held` is what the daemon can give; a capability asked for by name that it does not hold
 * is left out with a warning, since the runtime could only fail on it.
 */
export function containerCapabilities(input: {
  readonly add: readonly string[];
  readonly drop: readonly string[];
  readonly privileged: boolean;
  readonly known: readonly string[];
  readonly held: readonly string[];
}): { readonly capabilities: readonly string[]; readonly warnings: readonly string[] } {
  const add = parseCapabilities("CapAdd", input.add, input.known);
  const drop = parseCapabilities("CapDrop", input.drop, input.known);
  if (input.privileged) return { capabilities: input.held, warnings: [] };
  const start = add.includes(ALL) ? input.known : drop.includes(ALL) ? [] : DEFAULT_CAPABILITIES;
  const added = add.filter((name) => name !== ALL && !start.includes(name));
  const wanted = [...start.filter((name) => !drop.includes(name)), ...new Set(added)];
  const missing = added.filter((name) => !input.held.includes(name));
  return {
    capabilities: wanted.filter((name) => input.held.includes(name)),
    warnings: missing.map((name) => `The daemon does not hold ${name}: it was not added.`),
  };
}

/** The sets of an OCI process. Inheritable stays empty (CVE-2022-24769). */
export function capabilitySets(capabilities: readonly string[]): Readonly<Record<string, readonly string[]>> {
  return { bounding: capabilities, effective: capabilities, permitted: capabilities };
}
