import type { NetworkConfig } from "../../core/network/config.ts";
import type { DaemonConfig } from "../config/config.ts";

/** The network service's part of the configuration. */
export function networkConfig(config: DaemonConfig): NetworkConfig {
  return {
    defaultBridge: config.defaultBridge,
    ipv6: config.ipv6,
    icc: config.icc,
    ipMasquerade: config.ipMasquerade,
    ipForward: config.ipForward,
    iptables: config.iptables,
    directRouting: config.directRouting,
    dns: config.dns,
    ...(config.bridge === undefined ? {} : { bridge: config.bridge }),
    ...(config.bip === undefined ? {} : { bip: config.bip }),
    ...(config.fixedCidr === undefined ? {} : { fixedCidr: config.fixedCidr }),
    ...(config.fixedCidrV6 === undefined ? {} : { fixedCidrV6: config.fixedCidrV6 }),
    ...(config.defaultGateway === undefined ? {} : { defaultGateway: config.defaultGateway }),
    ...(config.defaultGatewayV6 === undefined ? {} : { defaultGatewayV6: config.defaultGatewayV6 }),
    ...(config.mtu === undefined ? {} : { mtu: config.mtu }),
    ...(config.publishIp === undefined ? {} : { defaultHostIp: config.publishIp }),
    ...(config.addressPools === undefined ? {} : { defaultAddressPools: config.addressPools }),
  };
}
