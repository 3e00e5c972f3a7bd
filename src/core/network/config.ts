import type { AddressPool } from "./addresses/pools.ts";

/** The daemon's own network settings (dockerd's names in daemon.json in brackets). */
export interface NetworkConfig {
  /** Bridge of the default network: `tug0`, or `tug<8 hex>` of another instance. */
  readonly defaultBridge: string;
  /** A bridge the administrator made, used as it is (`bridge`); "none": no default bridge network. */
  readonly bridge?: string;
  /** Address and prefix of the default bridge (`bip`). */
  readonly bip?: string;
  /** Part of the default subnet addresses come from (`fixed-cidr`). */
  readonly fixedCidr?: string;
  /** IPv6 on the default bridge (`ipv6`, `fixed-cidr-v6`). */
  readonly ipv6?: boolean;
  readonly fixedCidrV6?: string;
  /** Router of containers on the default bridge, whose own address stays (`default-gateway`). */
  readonly defaultGateway?: string;
  /** The same for IPv6 (`default-gateway-v6`). */
  readonly defaultGatewayV6?: string;
  readonly mtu?: number;
  /** `icc`, `ip-masq`, `ip-forward`: true unless set. */
  readonly icc?: boolean;
  readonly ipMasquerade?: boolean;
  readonly ipForward?: boolean;
  /** `iptables`: other firewalls of the host are told to let containers through; true unless set. */
  readonly iptables?: boolean;
  /** `allow-direct-routing`: published ports answer other hosts at the containers' own addresses, too. */
  readonly directRouting?: boolean;
  /** Address of published ports that name none (`ip`). */
  readonly defaultHostIp?: string;
  readonly defaultAddressPools?: readonly AddressPool[];
  /** `dns`: upstream servers of the resolver when a container names none. */
  readonly dns?: readonly string[];
  /** The host's resolv.conf, /etc/resolv.conf unless set. */
  readonly hostResolvConf?: string;
}
