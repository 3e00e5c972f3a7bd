import { invalid } from "../../../base/lib/errors.ts";
import type { IpvlanMode } from "../../../base/sys/net/links.ts";
import type { NetworkDriver } from "../driver.ts";
import type { NetworkSpec } from "../network.ts";
import { createParentDriver, type ParentDriverDeps } from "../parent-driver.ts";

function mode(spec: NetworkSpec): IpvlanMode {
  const value = spec.options["ipvlan_mode"] || "l2";
  if (value === "l2" || value === "l3" || value === "l3s") return value;
  throw invalid(`requested ipvlan mode '${value}' is not valid, 'l2' mode is the ipvlan driver default`);
}

/** Containers with addresses of their own behind the MAC address of a host interface. */
export function createIpvlanDriver(deps: ParentDriverDeps): NetworkDriver {
  return createParentDriver(deps, {
    name: "ipvlan",
    dummyPrefix: "di",
    routesByInterface: (network) => mode(network) !== "l2",
    checkMode: mode,
    // No MAC address: an ipvlan interface has its parent's.
    link: (network, { netns }, parent) => ({ kind: { type: "ipvlan", parent, mode: mode(network), netns } }),
  });
}
