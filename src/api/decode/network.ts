import type { EndpointSettings } from "../../base/spec/docker/api.gen.ts";
import type { NetworkCreateRequest } from "../../base/spec/docker/requests.ts";
import { bool, int, list, map, object, type Shape, string, strings } from "./shape.ts";

export const endpointShape: Shape<EndpointSettings> = object<EndpointSettings>({
  IPAMConfig: object<NonNullable<EndpointSettings["IPAMConfig"]>>({
    IPv4Address: string,
    IPv6Address: string,
    LinkLocalIPs: strings,
  }),
  Links: strings,
  MacAddress: string,
  Aliases: strings,
  DriverOpts: map(string),
  GwPriority: int,
  NetworkID: string,
  EndpointID: string,
  Gateway: string,
  IPAddress: string,
  IPPrefixLen: int,
  IPv6Gateway: string,
  GlobalIPv6Address: string,
  GlobalIPv6PrefixLen: int,
  DNSNames: strings,
});

type Create = Partial<Pick<NetworkCreateRequest, "Name">> & Omit<NetworkCreateRequest, "Name">;
type Ipam = NonNullable<NetworkCreateRequest["IPAM"]>;
type IpamConfig = NonNullable<Ipam["Config"]>[number];

export const networkCreateShape: Shape<Create> = object<Create>({
  Name: string,
  Driver: string,
  Scope: string,
  Internal: bool,
  Attachable: bool,
  Ingress: bool,
  ConfigOnly: bool,
  ConfigFrom: object<{ Network?: string }>({ Network: string }),
  IPAM: object<Ipam>({
    Driver: string,
    Config: list(
      object<IpamConfig>({
        Subnet: string,
        IPRange: string,
        Gateway: string,
        AuxiliaryAddresses: map(string),
      }),
    ),
    Options: map(string),
  }),
  EnableIPv4: bool,
  EnableIPv6: bool,
  Options: map(string),
  Labels: map(string),
  CheckDuplicate: bool,
});

export const connectShape = object<{ Container?: string; EndpointConfig?: EndpointSettings }>({
  Container: string,
  EndpointConfig: endpointShape,
});

export const disconnectShape = object<{ Container?: string; Force?: boolean }>({
  Container: string,
  Force: bool,
});
