import { invalid } from "../../../base/lib/errors.ts";
import { parseIp } from "../../../base/lib/ip.ts";

/** `-a stdin`: which stream to attach. */
export function attachFlag(value: string): string {
  const stream = value.toLowerCase();
  if (!["stdin", "stdout", "stderr"].includes(stream))
    throw invalid("valid streams are STDIN, STDOUT and STDERR");
  return stream;
}

/** An IP address, in its usual form. */
export function ipFlag(value: string): string {
  const text = value.trim();
  if (!parseIp(text)) throw invalid(`IP address is not correctly formatted: ${value}`);
  return text;
}

/** `--dns-search`: a domain, or "." for none. */
export function searchFlag(value: string): string {
  const text = value.trim();
  if (text === ".") return text;
  const domain =
    /^(:?[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(\.([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*\.?\s*$/;
  if (!/[a-zA-Z]/.test(text) || text.length > 255 || !domain.test(text))
    throw invalid(`${value} is not a valid domain`);
  return text;
}

/** `--link name[:alias]`. */
export function linkFlag(value: string): string {
  if (value === "") throw invalid("empty string specified for links");
  if (value.split(":").length > 2) throw invalid(`bad format for links: ${value}`);
  return value;
}

/** `--add-host name:ip`, also `name=ip`; IPv6 may stand in brackets; "host-gateway" is the daemon's matter. */
export function hostFlag(value: string): string {
  const at = value.search(/[:=]/);
  if (at <= 0) throw invalid(`bad format for add-host: ${JSON.stringify(value)}`);
  const name = value.slice(0, at);
  const address = value.slice(at + 1).replace(/^\[(.*)\]$/, "$1");
  if (address === "") throw invalid(`bad format for add-host: ${JSON.stringify(value)}`);
  if (address !== "host-gateway" && !parseIp(address)) {
    throw invalid(`invalid IP address in add-host: ${JSON.stringify(address)}`);
  }
  return `${name}:${address}`;
}

const sysctls = new Set(
  "kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni kernel.shm_rmid_forced".split(
    " ",
  ),
);

/** `--sysctl`: only what belongs to a namespace of the container. */
export function sysctlFlag(value: string): string {
  const [key = ""] = value.split("=");
  const namespaced = key.startsWith("net.") || key.startsWith("fs.mqueue.") || sysctls.has(key);
  if (!value.includes("=") || !namespaced) throw invalid(`sysctl '${value}' is not allowed`);
  return value;
}
