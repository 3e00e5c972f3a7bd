import type { NetworkDriver } from "../driver.ts";

/** The host's own network: the container has no namespace of its own, so there is nothing to make. */
export const hostDriver: NetworkDriver = {
  name: "host",
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
