import type { ContainerId, NetworkId } from "../../base/lib/ids.ts";

/**
 * Networks: a *network* joins *endpoints*; a container's *sandbox* is its network namespace.
 *
 * Two steps, so that /etc/hosts and resolv.conf can be written before the container exists: `allocate` reserves addresses
 * (durably), `attach` plumbs the endpoint into a live namespace, given as a pid. The namespace is made by the OCI runtime and dies with the
 * container: nothing is bind-mounted. `detach` removes what is on the host side, `release` gives the addresses back.
 * The data plane is the kernel's alone (veth, bridge, nftables maps): it goes on when the daemon dies. The resolver for
 * user-defined networks is a separate process with its own state file, re-adopted by the next daemon.
 */
export interface NetworkService {
  create(spec: NetworkSpec): Promise<Network>;
  /** Throws not-found "network <x> not found", forbidden for the predefined ones and for "… has active endpoints" (as Docker). */
  remove(id: NetworkId): Promise<void>;
  list(): readonly Network[];
  /** By id, name, or unique id prefix. Throws not-found "network <x> not found". */
  resolve(nameOrId: string): Network;
  /** Endpoints of a network, live or allocated. */
  endpoints(id: NetworkId): readonly Endpoint[];
  /** Reserves addresses. Throws conflict "Address already in use", resource-exhausted. */
  allocate(request: EndpointRequest): Promise<Endpoint>;
  /** Plumbs the endpoint into the namespace of `pid` as ethN and publishes its ports. Undoes itself on failure. */
  attach(endpoint: Endpoint, sandbox: Sandbox): Promise<Endpoint>;
  /** Host side gone: veth, port publications, resolver entry. Idempotent. */
  detach(endpoint: Endpoint): Promise<void>;
  /** Addresses given back, record gone. Idempotent. */
  release(endpoint: Endpoint): Promise<void>;
  /** Changes the ports of a container, given by one of its endpoints, without touching its connections. All or nothing. */
  publish(endpoint: Endpoint, ports: readonly PortPublication[]): Promise<Endpoint>;
  /** A container's endpoints as they are now: its ports move between them when networks come and go. */
  ofContainer(containerId: ContainerId): readonly Endpoint[];
  /** The container is called otherwise from now on: DNS answers the new name, not the old. */
  rename(containerId: ContainerId, name: string): Promise<void>;
  /** Address of the resolver a container of these networks must use; undefined: copy the host's resolv.conf. */
  resolverAddress(networks: readonly Network[]): string | undefined;
  /**
   * After a daemon start: bridges, nftables and resolver state are made to match the records; endpoints whose container
   * is not in `live` are detached. Idempotent.
   */
  restore(live: ReadonlyMap<ContainerId, Sandbox>): Promise<void>;
  /** Leaves what running containers need; removes the rest. `everything`: nothing of this daemon stays on the host. */
  shutdown(options: { readonly everything: boolean }): Promise<void>;
}

export interface Sandbox {
  readonly containerId: ContainerId;
  readonly pid: number;
}

export interface NetworkSpec {
  readonly name: string;
  /** "bridge" (default), "host", "null", ... */
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly enableIPv4: boolean;
  readonly enableIPv6: boolean;
  readonly ipam: IpamSpec;
  /** Settings for other networks only: see `configuration.ts`. */
  readonly configOnly?: boolean;
  /** Name of the configuration network that it is made from. */
  readonly configFrom?: string;
}

export interface IpamSpec {
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly config: readonly IpamPool[];
}

export interface IpamPool {
  readonly subnet?: string;
  readonly ipRange?: string;
  readonly gateway?: string;
  readonly auxAddresses?: Readonly<Record<string, string>>;
}

export interface Network extends NetworkSpec {
  readonly id: NetworkId;
  /** RFC 3339 with nanoseconds. */
  readonly created: string;
  readonly scope: "local";
  /** Its interface on the host was there before: used, never changed beyond need, never removed. */
  readonly adoptsInterface?: boolean;
  /** bridge, host, none: cannot be removed. */
  readonly predefined: boolean;
}

export interface EndpointRequest {
  readonly network: NetworkId;
  readonly containerId: ContainerId;
  readonly containerName: string;
  readonly hostname: string;
  /** Names besides container name and short id that DNS answers on this network. */
  readonly aliases: readonly string[];
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly mac?: string;
  readonly driverOptions?: Readonly<Record<string, string>>;
  /** `--network name=x,gw-priority=n`: the highest provides the container's default route. */
  readonly gatewayPriority?: number;
  /**
   * The container's ports, the same for each of its endpoints: the one carries them, per family, whose network provides the gateway
   * and can publish.
   */
  readonly ports: readonly PortPublication[];
  /** container links on this endpoint: alias -> container name or id, answered by DNS for this container alone. */
  readonly links?: Readonly<Record<string, string>>;
  /** Upstream servers, options and search domains from --dns*, else the host's. */
  readonly dns?: {
    readonly servers: readonly string[];
    readonly options: readonly string[];
    readonly search: readonly string[];
  };
}

/** One -p: hostPort undefined asks for an ephemeral one, filled in by `attach`. */
export interface PortPublication {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly containerPort: number;
  /** "0.0.0.0", "::", "127.0.0.1", ...; "" means the default of the daemon, v4 and v6. */
  readonly hostIp: string;
  readonly hostPort?: number;
  /** Upper end when any free port of a range will do. */
  readonly hostPortEnd?: number;
}

export interface Endpoint {
  readonly id: string;
  readonly network: NetworkId;
  readonly containerId: ContainerId;
  readonly containerName: string;
  readonly aliases: readonly string[];
  readonly dnsNames: readonly string[];
  readonly mac: string;
  /** "" when the network has no such family. */
  readonly ipv4: string;
  readonly ipv4PrefixLength: number;
  readonly ipv4Gateway: string;
  readonly ipv6: string;
  readonly ipv6PrefixLength: number;
  readonly ipv6Gateway: string;
  /** Effective publications; host ports are filled in once attached. */
  readonly ports: readonly PortPublication[];
  readonly attached: boolean;
}
