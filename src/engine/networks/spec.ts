import { invalid, TugError } from "../../base/lib/errors.ts";
import type { NetworkCreateRequest } from "../../base/spec/docker/requests.ts";
import type { IpamPool, NetworkSpec } from "../../core/network/network.ts";

const predefined = ["bridge", "host", "none", "default"];

/** The wire's request as the mechanism wants it; throws what Docker answers to names and combinations that cannot be. */
export function networkSpec(request: NetworkCreateRequest): NetworkSpec {
  const { Name: name } = request;
  if (typeof name !== "string" || name.trim() === "") throw invalid("invalid name: name is empty");
  if (predefined.includes(name)) {
    // The blank at the end is Docker's.
    throw new TugError("forbidden", `operation is not permitted on predefined ${name} network `);
  }
  if (request.Ingress === true || request.Scope === "swarm" || request.Scope === "global") {
    throw new TugError(
      "unavailable",
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    );
  }
  const ipam = request.IPAM ?? {};
  const fromNetwork = request.ConfigFrom?.Network ?? "";
  return {
    name,
    driver: request.Driver === undefined || request.Driver === "" ? "bridge" : request.Driver,
    options: request.Options ?? {},
    labels: request.Labels ?? {},
    internal: request.Internal === true,
    attachable: request.Attachable === true,
    enableIPv4: request.EnableIPv4 !== false,
    enableIPv6: request.EnableIPv6 === true,
    ipam: {
      driver: ipam.Driver === undefined || ipam.Driver === "" ? "default" : ipam.Driver,
      options: ipam.Options ?? {},
      config: (ipam.Config ?? []).map(pool),
    },
    ...(request.ConfigOnly === true ? { configOnly: true } : {}),
    ...(fromNetwork === "" ? {} : { configFrom: fromNetwork }),
  };
}

type WirePool = NonNullable<NonNullable<NetworkCreateRequest["IPAM"]>["Config"]>[number];

/** Empty strings on the wire mean absent. */
function pool(config: WirePool): IpamPool {
  const present = (value: string | undefined) => value !== undefined && value !== "";
  return {
    ...(present(config.Subnet) ? { subnet: config.Subnet ?? "" } : {}),
    ...(present(config.IPRange) ? { ipRange: config.IPRange ?? "" } : {}),
    ...(present(config.Gateway) ? { gateway: config.Gateway ?? "" } : {}),
    ...(config.AuxiliaryAddresses ? { auxAddresses: config.AuxiliaryAddresses } : {}),
  };
}
