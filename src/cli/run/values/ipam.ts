import { invalid } from "../../../base/lib/errors.ts";
import { contains, type IpPrefix, parseIp, parsePrefix } from "../../../base/lib/ip.ts";
import type { IPAMConfig } from "../../../base/spec/docker/api.gen.ts";

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
  const configs: (IPAMConfig & { Subnet: string })[] = [];
  for (const Subnet of subnets) {
    // A single subnet is the daemon's to refuse; several are compared here.
    if (configs.some((other) => isIn(Subnet, other.Subnet) || isIn(other.Subnet, Subnet))) {
      throw invalid("multiple overlapping subnet configuration is not supported");
    }
    configs.push({ Subnet });
  }
  const configOf = (text: string, what: string) => {
    const found = configs.find(({ Subnet }) => isIn(Subnet, text));
    if (!found) throw invalid(`no matching subnet for ${what} ${text}`);
    return found;
  };
  for (const range of ranges) {
    prefix(range, "");
    const config = configOf(range, "range");
    if (config.IPRange !== undefined)
      throw invalid(
        `cannot configure multiple ranges (${range}, ${config.IPRange}) on the same subnet (${config.Subnet})`,
      );
    config.IPRange = range;
  }
  for (const gateway of gateways) {
    const config = configOf(gateway, "gateway");
    if (config.Gateway !== undefined)
      throw invalid(
        `cannot configure multiple gateways (${gateway}, ${config.Gateway}) for the same subnet (${config.Subnet})`,
      );
    config.Gateway = gateway;
  }
  for (const [name, address] of Object.entries(auxiliary)) {
    const config = configOf(address, "aux-address");
    config.AuxiliaryAddresses = { ...config.AuxiliaryAddresses, [name]: address };
  }
  return configs;
}

/** Whether an address, or the address of a prefix, lies in the subnet; text that is neither lies nowhere. */
function isIn(subnet: string, text: string): boolean {
  const outer = prefix(subnet, "invalid subnet: ");
  const address = text.includes("/") ? prefix(text, "") : parseIp(text);
  return address !== undefined && contains(outer, address);
}

function prefix(text: string, before: string): IpPrefix {
  const parsed = parsePrefix(text);
  if (!parsed) throw invalid(`${before}invalid CIDR address: ${text}`);
  return parsed;
}
