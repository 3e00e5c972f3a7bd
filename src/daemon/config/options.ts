/** A daemon option: dockerd's flag, its name in daemon.json, and how its value reads. */
export interface DaemonOption {
  readonly flag: string;
  readonly short?: string;
  /** Name in daemon.json; the flag's unless told. undefined: a flag only. */
  readonly key?: string | null;
  readonly kind: "string" | "bool" | "int" | "list" | "map" | "object";
  readonly help: string;
  /** Accepted so that dockerd's command lines work, and without effect here; told in the log when used. */
  readonly ignored?: boolean;
}

const option = (
  flag: string,
  kind: DaemonOption["kind"],
  help: string,
  more: Partial<DaemonOption> = {},
): DaemonOption => ({ flag, kind, help, ...more });

/** Everything `tug daemon` takes, in the order of its help. */
export const daemonOptions: readonly DaemonOption[] = [
  option("add-runtime", "map", "Register an additional OCI compatible runtime (name=path)", { key: null }),
  option("allow-direct-routing", "bool", "Allow remote access to published ports on container IP addresses"),
  option("allow-nondistributable-artifacts", "list", "Allow push of nondistributable artifacts to registry", {
    ignored: true,
  }),
  option("authorization-plugin", "list", "Authorization plugins to load", { key: "authorization-plugins" }),
  option("bip", "string", "IPv4 address for the default bridge"),
  option("bridge", "string", "Attach containers to a network bridge", { short: "b" }),
  option("cgroup-parent", "string", "Set parent cgroup for all containers"),
  option("builder", "object", "Settings of the builder, in daemon.json only"),
  option("cdi-spec-dir", "list", "CDI specification directories to use", { key: "cdi-spec-dirs" }),
  option("config-file", "string", "Daemon configuration file", { key: null }),
  option("containerd", "string", "containerd grpc address", { ignored: true }),
  option("containerd-namespace", "string", "Containerd namespace to use", { ignored: true }),
  option("containerd-plugins-namespace", "string", "Containerd namespace to use for plugins", {
    ignored: true,
  }),
  option("cpu-rt-period", "int", "Limit the CPU real-time period in microseconds of all containers together"),
  option(
    "cpu-rt-runtime",
    "int",
    "Limit the CPU real-time runtime in microseconds of all containers together",
  ),
  option("cri-containerd", "bool", "Start containerd with cri", { ignored: true }),
  option("data-root", "string", "Root directory of persistent state", { short: "g" }),
  option("debug", "bool", "Enable debug mode", { short: "D" }),
  option("default-address-pool", "list", "Default address pools for node specific local networks", {
    key: "default-address-pools",
  }),
  option(
    "default-cgroupns-mode",
    "string",
    'Default mode for containers cgroup namespace ("host" | "private")',
  ),
  option("default-gateway", "string", "Default gateway IPv4 address for the default bridge network"),
  option("default-gateway-v6", "string", "Default gateway IPv6 address for the default bridge network"),
  option("default-ipc-mode", "string", 'Default mode for containers ipc ("shareable" | "private")'),
  option("default-network-opt", "list", "Default network options (driver=option=value)", {
    key: "default-network-opts",
  }),
  option("default-runtime", "string", "Default OCI runtime for containers"),
  option("default-shm-size", "string", "Default shm size for containers"),
  option("default-ulimit", "map", "Default ulimits for containers", { key: "default-ulimits" }),
  option("dns", "list", "DNS server to use"),
  option("dns-opt", "list", "DNS options to use", { key: "dns-opts" }),
  option("dns-search", "list", "DNS search domains to use"),
  option("exec-opt", "list", "Runtime execution options", { key: "exec-opts" }),
  option("exec-root", "string", "Root directory for execution state files"),
  option("experimental", "bool", "Enable experimental features"),
  option("feature", "map", "Enable feature in the daemon (buildkit, cdi)", { key: "features" }),
  option("firewall-backend", "string", "Firewall backend to use (nftables)"),
  option("fixed-cidr", "string", "IPv4 subnet for the default bridge network"),
  option("fixed-cidr-v6", "string", "IPv6 subnet for the default bridge network"),
  option("group", "string", "Group for the unix socket", { short: "G" }),
  option("host", "list", "Daemon socket(s) to connect to", { short: "H", key: "hosts" }),
  option(
    "host-gateway-ip",
    "list",
    "IP addresses that the special 'host-gateway' string in --add-host resolves to",
    { key: "host-gateway-ips" },
  ),
  option("http-proxy", "string", "HTTP proxy URL to use for outgoing traffic"),
  option("https-proxy", "string", "HTTPS proxy URL to use for outgoing traffic"),
  option("icc", "bool", "Enable inter-container communication for the default bridge network"),
  option("init", "bool", "Run an init in the container to forward signals and reap processes"),
  option("init-path", "string", "Path to the init binary"),
  option("insecure-registry", "list", "Enable insecure registry communication", {
    key: "insecure-registries",
  }),
  option("ip", "string", "Host IP for port publishing from the default bridge network"),
  option("ip-forward", "bool", "Enable IP forwarding in system configuration"),
  option("ip-masq", "bool", "Enable IP masquerading for the default bridge network"),
  option("ip6tables", "bool", "Enable addition of ip6tables rules", { ignored: true }),
  option("iptables", "bool", "Tell other firewalls of this host to let containers through"),
  option("ipv6", "bool", "Enable IPv6 networking for the default bridge network"),
  option("label", "list", "Set key=value labels to the daemon", { key: "labels" }),
  option(
    "live-restore",
    "bool",
    "Keep containers running while the daemon is down (default true; false stops them with it)",
  ),
  option("log-driver", "string", "Default driver for container logs"),
  option("log-format", "string", 'Set the logging format ("text"|"json")'),
  option("log-level", "string", 'Set the logging level ("debug"|"info"|"warn"|"error"|"fatal")', {
    short: "l",
  }),
  option("log-opt", "map", "Default log driver options for containers", { key: "log-opts" }),
  option("max-concurrent-downloads", "int", "Set the max concurrent downloads"),
  option("max-concurrent-uploads", "int", "Set the max concurrent uploads"),
  option("max-download-attempts", "int", "Set the max download attempts for each pull"),
  option("max-layer-connections", "int", "Set the max connections for one large layer"),
  option("metrics-addr", "string", "Set default address and port to serve the metrics api on"),
  option("mtu", "int", 'Set the MTU for the default "bridge" network'),
  option("network-control-plane-mtu", "int", "Network Control plane MTU", { ignored: true }),
  option("no-new-privileges", "bool", "Set no-new-privileges by default for new containers"),
  option(
    "no-proxy",
    "string",
    "Comma-separated list of hosts or IP addresses for which the proxy is skipped",
  ),
  option("node-generic-resource", "list", "Advertise user-defined resource", {
    key: "node-generic-resources",
    ignored: true,
  }),
  option("nri-opts", "object", "Settings of the node resource interface, in daemon.json only", {
    ignored: true,
  }),
  option("oom-score-adjust", "int", "Set the oom_score_adj for the daemon"),
  option("pidfile", "string", "Path to use for daemon PID file", { short: "p" }),
  option("raw-logs", "bool", "Full timestamps without ANSI coloring", { ignored: true }),
  option(
    "registries-conf",
    "string",
    "Mirrors and blocked registries as containers/image writes them (empty: none)",
  ),
  option("registry-config-dir", "list", "Directories with a hosts.toml and certificates for each registry", {
    key: "registry-config-dirs",
  }),
  option("registry-mirror", "list", "Preferred registry mirror", { key: "registry-mirrors" }),
  option("rootless", "bool", "Enable rootless mode", { ignored: true }),
  option("runtimes", "object", "Additional OCI runtimes, in daemon.json only"),
  option(
    "seccomp-profile",
    "string",
    'Path to seccomp profile. Set to "unconfined" to disable the default seccomp profile',
  ),
  option("selinux-enabled", "bool", "Enable selinux support"),
  option(
    "shutdown-timeout",
    "int",
    "Seconds that containers have to stop with the daemon (live-restore=false)",
  ),
  option("storage-driver", "string", "Storage driver to use", { short: "s" }),
  option("storage-opt", "list", "Storage driver options", { key: "storage-opts" }),
  option(
    "swarm-default-advertise-addr",
    "string",
    "Set default address or interface for swarm advertised address",
    { ignored: true },
  ),
  option("tls", "bool", "Use TLS; implied by --tlsverify"),
  option("tlscacert", "string", "Trust certs signed only by this CA"),
  option("tlscert", "string", "Path to TLS certificate file"),
  option("tlskey", "string", "Path to TLS key file"),
  option("tlsverify", "bool", "Use TLS and verify the remote"),
  option("userland-proxy", "bool", "Use userland proxy for loopback traffic (never needed)", {
    ignored: true,
  }),
  option("userland-proxy-path", "string", "Path to the userland proxy binary", { ignored: true }),
  option("userns-remap", "string", "User/Group setting for user namespaces"),
  option("validate", "bool", "Validate daemon configuration and exit", { key: null }),
  option("help", "bool", "Print usage", { short: "h", key: null }),
  option("version", "bool", "Print version information and quit", { short: "v", key: null }),
];

/** The name of an option in daemon.json, or undefined when it is a flag only. */
export function fileKey(option: DaemonOption): string | undefined {
  if (option.key === null) return undefined;
  return option.key ?? option.flag;
}
