import type { NetworkId } from "../../../base/lib/ids.ts";
import type { IpamPool, Network } from "../network.ts";

/** A bridge network with these pools, of which nothing else was asked. */
export function bridgeNetwork(name: string, config: readonly IpamPool[], more: Partial<Network> = {}): Network {
  return {
    id: `${name}00000000000000` as NetworkId,
    name,
    driver: "bridge",
    created: "",
    scope: "local",
    predefined: false,
    options: {},
    labels: {},
    internal: false,
    attachable: false,
    enableIPv4: true,
    enableIPv6: true,
    ipam: { driver: "default", options: {}, config },
    ...more,
  };
}
