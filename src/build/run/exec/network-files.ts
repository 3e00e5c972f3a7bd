import { chownSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hostsFile, resolvConf } from "../../../core/network/files.ts";
import { hostResolvConf } from "../../../core/network/host-servers.ts";
import type { SpecMount } from "../../../core/runtime/spec.ts";
import type { ExecOp } from "../../graph.ts";
import type { ExecDeps } from "./deps.ts";
import { bindOf } from "./mount-context.ts";
import type { StepNamespace } from "./namespaces.ts";

/** What BuildKit calls its containers where nobody says otherwise. */
export const HOSTNAME = "buildkitsandbox";

/**
 * /etc/hosts and /etc/resolv.conf of a step, read-only as in BuildKit. A step finds itself at the loopback address: its own changes from
 * build to build and has no place in what it makes.
 */
export async function networkFiles(
  deps: ExecDeps,
  op: ExecOp,
  place: { readonly directory: string; readonly namespace: StepNamespace | undefined },
): Promise<readonly SpecMount[]> {
  const { defaults, networks, remap } = deps;
  const { namespace } = place;
  const gateway = namespace?.endpoint.ipv4Gateway;
  const hostGateway = defaults.hostGateway();
  const hosts = hostsFile({
    hostname: op.hostname || HOSTNAME,
    domainname: "",
    addresses: ["127.0.0.1"],
    extra: op.hosts.map(({ host, address }) => `${host}=${address}`),
    hostGateway: hostGateway === undefined ? [] : [hostGateway],
    hostInternal: gateway ? [gateway] : [],
    ipv6: true,
  });
  const shared = op.network === "host";
  const resolv = resolvConf({
    host: await hostResolvConf({ reachable: !shared }),
    resolver: namespace && networks.resolverAddress([namespace.of]),
    hostNetwork: shared,
    servers: defaults.dns,
    options: defaults.dnsOptions,
    search: defaults.dnsSearch,
    ipv6: (namespace?.endpoint.ipv6 ?? "") !== "",
  });
  return Object.entries({ hosts, "resolv.conf": resolv }).map(([name, text]) => {
    const path = join(place.directory, name);
    writeFileSync(path, text, { mode: 0o644 });
    if (remap) chownSync(path, remap.root.uid, remap.root.gid);
    const mount = bindOf(`/etc/${name}`, path, true);
    return { ...mount, options: [...mount.options, "nosuid", "nodev", "noexec"] };
  });
}
