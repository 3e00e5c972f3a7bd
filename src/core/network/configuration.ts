import { notFound, TugError } from "../../base/lib/errors.ts";
import { validatePools } from "./addresses/ipam.ts";
import type { Network, NetworkSpec } from "./network.ts";

/*
 * Configuration networks (`network create --config-only`): settings under a name, nothing on the host. A network made from one
 * (`--config-from`) has its addresses, driver options, labels and IPv6, and keeps it from being removed. The words are libnetwork's.
 */

const forbidden = (message: string) => new TugError("forbidden", message);

/** The configuration as it is kept: whatever driver was named, it is no network of that driver. */
export function configurationSpec(spec: NetworkSpec): NetworkSpec {
  if (spec.configFrom !== undefined) {
    throw forbidden("a configuration network cannot depend on another configuration network");
  }
  if (spec.internal || spec.attachable) {
    throw forbidden(
      "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.",
    );
  }
  validatePools(spec.ipam.config);
  return { ...spec, driver: "null" };
}

/** What a network made from `configuration` is asked to be. */
export function configuredSpec(spec: NetworkSpec, networks: readonly Network[]): NetworkSpec {
  if (spec.configFrom === undefined) return spec;
  const { ipam } = spec;
  const own =
    (ipam.driver !== "" && ipam.driver !== "default") ||
    Object.keys(ipam.options).length > 0 ||
    ipam.config.length > 0 ||
    spec.enableIPv6 ||
    !spec.enableIPv4 ||
    Object.keys(spec.labels).length > 0;
  if (own) {
    throw forbidden(
      "user specified configurations are not supported if the network depends on a configuration network",
    );
  }
  if (Object.keys(spec.options).length > 0) {
    throw forbidden(
      "network driver options are not supported if the network depends on a configuration network",
    );
  }
  const source = networks.find((network) => network.configOnly && network.name === spec.configFrom);
  if (!source) throw notFound(`configuration network "${spec.configFrom}" does not exist`);
  const { labels, options, enableIPv4, enableIPv6 } = source;
  return { ...spec, labels, options, enableIPv4, enableIPv6, ipam: source.ipam };
}

/** A configuration stays as long as a network was made from it. */
export function assertUnusedConfiguration(network: Network, networks: readonly Network[]): void {
  if (network.configOnly && networks.some((other) => other.configFrom === network.name)) {
    throw forbidden(`error while removing network: configuration network "${network.name}" is in use`);
  }
}
