import { invalid } from "../../base/lib/errors.ts";
import type { NetworkId } from "../../base/lib/ids.ts";
import type { Network, NetworkSpec } from "./network.ts";

/** The driver options Docker documents for bridge networks, read once and typed. */
export type GatewayMode = "nat" | "nat-unprotected" | "routed" | "isolated";

const prefix = "com.docker.network.bridge.";

function flag(options: Readonly<Record<string, string>>, name: string, fallback: boolean): boolean {
  const value = options[name];
  if (value === undefined || value === "") return fallback;
  // Go's strconv.ParseBool, which is what Docker accepts here.
  if (/^(1|t|T|TRUE|true|True)$/.test(value)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(value)) return false;
  throw invalid(`failed to parse ${name} value: "${value}" is not a boolean`);
}

export function icc(spec: NetworkSpec): boolean {
  return flag(spec.options, `${prefix}enable_icc`, true);
}

export function masquerade(spec: NetworkSpec): boolean {
  return flag(spec.options, `${prefix}enable_ip_masquerade`, true);
}

/** The address published ports bind to when `-p` names none. */
export function hostBinding(spec: NetworkSpec): string | undefined {
  return spec.options[`${prefix}host_binding_ipv4`] || undefined;
}

/** No gateway address on the bridge (`inhibit_ipv4`). */
export function inhibitIPv4(spec: NetworkSpec): boolean {
  return flag(spec.options, `${prefix}inhibit_ipv4`, false);
}

export function mtu(spec: NetworkSpec): number | undefined {
  const value = spec.options["com.docker.network.driver.mtu"];
  if (value === undefined || value === "") return undefined;
  if (!/^\d+$/.test(value) || Number(value) > 65535) {
    throw invalid(`failed to parse com.docker.network.driver.mtu value: "${value}"`);
  }
  return Number(value) === 0 ? undefined : Number(value);
}

/** "eth" unless the network says otherwise. */
export function interfacePrefix(spec: NetworkSpec): string {
  const value = spec.options["com.docker.network.container_iface_prefix"];
  if (value === undefined || value === "") return "eth";
  if (!/^[A-Za-z][A-Za-z0-9_.-]{0,11}$/.test(value)) {
    throw invalid(`invalid container interface prefix "${value}"`);
  }
  return value;
}

export function gatewayMode(spec: NetworkSpec, family: 4 | 6): GatewayMode {
  const name = `${prefix}gateway_mode_ipv${family}`;
  const value = spec.options[name];
  if (value === undefined || value === "") return "nat";
  if (value !== "nat" && value !== "nat-unprotected" && value !== "routed" && value !== "isolated") {
    throw invalid(`invalid gateway mode "${value}" for ${name}`);
  }
  if (value === "isolated" && !spec.internal) {
    throw invalid(`gateway mode 'isolated' can only be used for an internal network`);
  }
  return value;
}

/** The interface of a network, which may have been given a name. */
export function bridgeName(network: Network): string {
  return network.options[`${prefix}name`] || ownBridgeName(network.id);
}

/** Docker names the bridge of a user-defined network after the first 12 digits of its id. */
export function ownBridgeName(id: NetworkId): string {
  return `br-${id.slice(0, 12)}`;
}

/** The name asked for: what the kernel takes (dev_valid_name), and plain, since it stands in firewall rules and paths. */
export function validateBridgeName(spec: NetworkSpec): void {
  const name = spec.options[`${prefix}name`];
  if (name === undefined || name === "") return;
  if (!isInterfaceName(name)) {
    throw invalid(`invalid bridge name "${name}": at most 15 letters, digits, underscores, dots and hyphens`);
  }
}

export function isInterfaceName(name: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/.test(name);
}
