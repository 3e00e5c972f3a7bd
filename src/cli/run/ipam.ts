import { invalid } from "../../base/lib/errors.ts";
import { contains, overlaps, parseIp, parsePrefix } from "../../base/lib/ip.ts";
import type { IPAMConfig } from "../../base/spec/docker/api.gen.ts";

/** Joins --subnet, --ip-range, --gateway and --aux-address: each of the others belongs to the subnet that contains it. */
export function ipamConfig(
  subnets: readonly string[],
  ranges: readonly string[],
  gateways: readonly string[],
  auxiliary: Readonly<Record<string, string>>,
): IPAMConfig[] {
  if (subnets.length < ranges.length || subnets.length < gateways.length) {
    throw invalid("every ip-range or gateway must have a corresponding subnet");
  }
  const pools = subnets.map((text) => {
    const prefix = parsePrefix(text); // one that is none is the daemon's to refuse
    const config: IPAMConfig = { Subnet: text };
    return { prefix, config };
  });
  pools.forEach(({ prefix }, at) => {
    if (pools.slice(0, at).some((other) => other.prefix && prefix && overlaps(other.prefix, prefix))) {
      throw invalid("multiple overlapping subnet configuration is not supported");
    }
  });
  const poolOf = (text: string, what: string) => {
    const address = parsePrefix(text) ?? parseIp(text);
    if (!address) throw invalid(`invalid address: ${text}`);
    const pool = pools.find(({ prefix }) => prefix && contains(prefix, address));
    if (!pool) throw invalid(`no matching subnet for ${what} ${text}`);
    return pool.config;
  };
  for (const range of ranges) {
    const config = poolOf(range, "range");
    if (config.IPRange !== undefined)
      throw invalid(
        `cannot configure multiple ranges (${range}, ${config.IPRange}) on the same subnet (${config.Subnet})`,
      );
    config.IPRange = range;
  }
  for (const gateway of gateways) {
    const config = poolOf(gateway, "gateway");
    if (config.Gateway !== undefined)
      throw invalid(
        `cannot configure multiple gateways (${gateway}, ${config.Gateway}) for the same subnet (${config.Subnet})`,
      );
    config.Gateway = gateway;
  }
  for (const [name, address] of Object.entries(auxiliary)) {
    const config = poolOf(address, "aux-address");
    config.AuxiliaryAddresses = { ...config.AuxiliaryAddresses, [name]: address };
  }
  return pools.map(({ config }) => config);
}
