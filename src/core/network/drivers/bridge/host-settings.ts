import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Log } from "../../../../base/lib/log.ts";
import type { Network } from "../../network.ts";

/** Settings of the host's network, below /proc/sys, that a bridge with containers on it needs. */
export function prepareBridge(name: string, log: Log): void {
  // 127.0.0.1:port on the host: packets from 127/8 may leave through the bridge, where they are masqueraded.
  set(`net/ipv4/conf/${name}/route_localnet`, "1", log);
  // The bridge is a router towards its containers and must not be configured by their router advertisements.
  set(`net/ipv6/conf/${name}/accept_ra`, "0", log);
  // While its link-local address is tentative the bridge solicits no neighbours (RFC 4862 5.4), so for a second after the first
  // container nothing would be forwarded to it.
  set(`net/ipv6/conf/${name}/accept_dad`, "0", log);
}

/** Packets between containers and the world are forwarded by this host: ip-sysctl.rst, ip_forward. */
export function enableForwarding(network: Network, log: Log): void {
  if (network.enableIPv4) set("net/ipv4/ip_forward", "1", log);
  if (!network.enableIPv6 || isSet("net/ipv6/conf/all/forwarding")) return;
  // A router stops taking router advertisements, which would cut a host off that lives by them; 2 means: take them all the same.
  for (const name of readdirSync("/proc/sys/net/ipv6/conf")) {
    if (name !== "all" && isSet(`net/ipv6/conf/${name}/accept_ra`))
      set(`net/ipv6/conf/${name}/accept_ra`, "2", log);
  }
  set("net/ipv6/conf/all/forwarding", "1", log);
}

/**
 * With br_netfilter (Docker and Kubernetes switch it on) frames between ports of a bridge pass the IP hooks. Then the forward
 * chain decides about icc, and a frame rewritten to a published port is bridged rather than routed, so a container that
 * asks for its own port needs the frame sent back where it came from (hairpin). Without it, isolated ports do icc=false.
 */
export function bridgedFramesAreFiltered(): boolean {
  return isSet("net/bridge/bridge-nf-call-iptables");
}

function set(name: string, value: string, log: Log): void {
  try {
    writeFileSync(`/proc/sys/${name}`, value);
  } catch (error) {
    // Absent without IPv6; read-only in an unprivileged outer container.
    log.warn("sysctl not set", { sysctl: name, value, error });
  }
}

function isSet(name: string): boolean {
  try {
    return readFileSync(`/proc/sys/${name}`, "latin1").startsWith("1");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
