import { invalid } from "../../../base/lib/errors.ts";
import type { MacvlanMode } from "../../../base/sys/net/links.ts";
import type { NetworkDriver } from "../driver.ts";
import type { NetworkSpec } from "../network.ts";
import { createParentDriver, type ParentDriverDeps } from "../parent-driver.ts";

function mode(spec: NetworkSpec): MacvlanMode {
  const value = spec.options["macvlan_mode"] || "bridge";
  if (value === "bridge" || value === "private" || value === "vepa" || value === "passthru") return value;
  throw invalid(
    `requested macvlan mode '${value}' is not valid, 'bridge' mode is the macvlan driver default`,
  );
}

/** Containers with MAC addresses of their own on the host's LAN. */
export function createMacvlanDriver(deps: ParentDriverDeps): NetworkDriver {
  return createParentDriver(deps, {
    name: "macvlan",
    dummyPrefix: "dm",
    routesByInterface: () => false,
    checkMode: mode,
    link: (network, { mac, netns }, parent) => ({
      mac,
      kind: { type: "macvlan", parent, mode: mode(network), netns },
    }),
  });
}
