import type { NetworkDriver } from "../driver.ts";

/** A namespace with nothing but its loopback interface. */
export const nullDriver: NetworkDriver = {
  name: "null",
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
