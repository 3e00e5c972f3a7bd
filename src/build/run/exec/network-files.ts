import { chownSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hostInternalOf, hostsFile, resolvConf } from "../../../core/network/files.ts";
import { hostResolvConf } from "../../../core/network/host-servers.ts";
import type { SpecMount } from "../../../core/runtime/spec.ts";
import type { ExecOp } from "../../graph.ts";
import type { ExecDeps, JoinableNetwork } from "./deps.ts";
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
  const { remap } = deps;
  const { namespace } = place;
  const texts = namespace?.joined ? joinedTexts(op, namespace.joined) : await ownTexts(deps, op, namespace);
  return Object.entries(texts).map(([name, text]) => {
    const path = join(place.directory, name);
    writeFileSync(path, text, { mode: 0o644 });
    if (remap) chownSync(path, remap.root.uid, remap.root.gid);
    const mount = bindOf(`/etc/${name}`, path, true);
    return { ...mount, options: [...mount.options, "nosuid", "nodev", "noexec"] };
  });
}

/** As the container has them, whose network it is. */
function joinedTexts(op: ExecOp, { hosts, resolvConf }: JoinableNetwork): Record<string, string> {
  const extra = op.hosts.map(({ host, address }) => `${address}\t${host}\n`).join("");
  return { hosts: readFileSync(hosts, "utf8") + extra, "resolv.conf": readFileSync(resolvConf, "utf8") };
}

async function ownTexts(
  { defaults, networks }: ExecDeps,
  op: ExecOp,
  namespace: StepNamespace | undefined,
): Promise<Record<string, string>> {
  const plumbed = namespace?.plumbed;
  const hostGateway = defaults.hostGateway();
  const hosts = hostsFile({
    hostname: op.hostname || HOSTNAME,
    domainname: "",
    addresses: ["127.0.0.1"],
    extra: op.hosts.map(({ host, address }) => `${host}=${address}`),
    hostGateway: hostGateway === undefined ? [] : [hostGateway],
    hostInternal: hostInternalOf(plumbed ? [plumbed.of] : []),
    ipv6: true,
  });
  const shared = op.network === "host";
  const resolv = resolvConf({
    host: await hostResolvConf({ reachable: !shared }),
    resolver: plumbed && networks.resolverAddress([plumbed.of]),
    hostNetwork: shared,
    servers: defaults.dns,
    options: defaults.dnsOptions,
    search: defaults.dnsSearch,
    ipv6: (plumbed?.endpoint.ipv6 ?? "") !== "",
  });
  return { hosts, "resolv.conf": resolv };
}
