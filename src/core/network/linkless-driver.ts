import type { NetworkDriver } from "./driver.ts";

/** A driver that makes nothing: no bridge, no link, no address. */
export function linklessDriver(name: string): NetworkDriver {
  return {
    name,
    addressless: true,
    publishes: false,
    routesByInterface: () => false,
    validate: () => undefined,
    hostInterface: () => undefined,
    createNetwork: () => undefined,
    removeNetwork: () => undefined,
    reconcile: () => undefined,
    createLink: () => undefined,
    removeLink: () => undefined,
  };
}
