import { invalid } from "../../../base/lib/errors.ts";
import { parseIp } from "../../../base/lib/ip.ts";
import type { PortBinding } from "../../../base/spec/docker/api.gen.ts";

/** What the -p and --expose options come to. */
export interface PortSpecs {
  readonly exposed: Record<string, Record<string, never>>;
  readonly bindings: Record<string, PortBinding[]>;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * Reads all -p and --expose values: `[[ip:][hostPort]:]containerPort[/proto]`, ranges on both sides, IPv6 in brackets, and the
 * long form `target=80,published=8080,protocol=tcp`.
 */
export function parsePorts(publish: readonly string[], expose: readonly string[]): PortSpecs {
  const exposed: PortSpecs["exposed"] = {};
  const bindings: PortSpecs["bindings"] = {};
  for (const value of publish) {
    for (const { port, binding } of parsePublish(shortForm(value))) {
      exposed[port] = {};
      bindings[port] = [...(bindings[port] ?? []), binding];
    }
  }
  for (const value of expose) {
    if (value.includes(":")) throw invalid(`invalid port format for --expose: ${value}`);
    const { port, protocol } = splitProtocol(value);
    const range = parseRange(port);
    if (typeof range === "string")
      throw invalid(`invalid range format for --expose: ${value}, error: ${range}`);
    for (let number = range.start; number <= range.end; number++) exposed[`${number}/${protocol}`] = {};
  }
  return { exposed, bindings };
}

function splitProtocol(text: string): { port: string; protocol: string } {
  const [port = "", protocol = ""] = text.split("/");
  return { port, protocol: protocol === "" ? "tcp" : protocol };
}

/** A port or range of ports; a text is what is wrong with it, in the words of Docker's port parser. */
function parseRange(text: string): Range | string {
  if (text === "") return "empty string specified for ports";
  const [first = "", second] = text.split("-", 2);
  const start = portNumber(first);
  const end = second === undefined ? start : portNumber(second);
  if (typeof start === "string") return start;
  if (typeof end === "string") return end;
  if (end < start) return `invalid range specified for port: ${text}`;
  return { start, end };
}

function portNumber(text: string): number | string {
  if (!/^\d+$/.test(text)) return `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`;
  const value = Number(text);
  return value > 65535 ? `strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range` : value;
}

function parsePublish(value: string): { port: string; binding: PortBinding }[] {
  const { ip, host, container } = splitParts(value);
  const { port: containerPorts, protocol } = splitProtocol(container);
  if (containerPorts === "") throw invalid(`no port specified: ${value}<empty>`);
  const target = parseRange(containerPorts);
  if (typeof target === "string") throw invalid(`invalid containerPort: ${containerPorts}`);
  const published = host === "" ? undefined : parseRange(host);
  if (typeof published === "string") throw invalid(`invalid hostPort: ${host}`);
  if (ip !== "" && !parseIp(ip)) throw invalid(`invalid IP address: ${ip}`);
  const proto = protocol.toLowerCase();
  if (!["tcp", "udp", "sctp"].includes(proto)) throw invalid(`invalid proto: ${protocol}`);
  const single = target.start === target.end;
  const sameLength = published === undefined || published.end - published.start === target.end - target.start;
  if (!sameLength && !single) {
    throw invalid(`invalid ranges specified for container and host Ports: ${containerPorts} and ${host}`);
  }
  const specs: { port: string; binding: PortBinding }[] = [];
  for (let number = target.start; number <= target.end; number++) {
    const offset = number - target.start;
    const hostPort =
      published === undefined
        ? ""
        : sameLength
          ? String(published.start + offset)
          : `${published.start}-${published.end}`; // the daemon picks one of the range
    specs.push({ port: `${number}/${proto}`, binding: { HostIp: ip, HostPort: hostPort } });
  }
  return specs;
}

function splitParts(value: string): { ip: string; host: string; container: string } {
  const parts = value.split(":");
  const container = parts.pop() ?? "";
  const host = parts.pop() ?? "";
  let ip = parts.join(":");
  if (ip.startsWith("[") && ip.endsWith("]")) ip = ip.slice(1, -1);
  else if (ip.includes(":") && !parseIp(ip)) throw invalid(`invalid IP address: ${ip}`);
  return { ip, host, container };
}

/** A -p value with its long form turned into the short one. */
export function shortForm(value: string): string {
  return value.includes("=") ? fromLongForm(value) : value;
}

/** `--publish target=80,published=8080,protocol=tcp,mode=host` in the short form. */
function fromLongForm(value: string): string {
  let target = "";
  let published = "";
  let protocol = "tcp";
  for (const field of value.split(",")) {
    const [key = "", ...rest] = field.split("=");
    const text = rest.join("=");
    if (rest.length === 0 || text === "") {
      throw invalid(`invalid publish opts format (should be name=value but got '${field}')`);
    }
    switch (key.toLowerCase()) {
      case "target":
        target = text;
        break;
      case "published":
        published = text;
        break;
      case "protocol":
        protocol = text;
        break;
      case "mode":
        if (text !== "host" && text !== "ingress")
          throw invalid(`invalid publish mode value (${text}): must be either 'ingress' or 'host'`);
        break;
      default:
        throw invalid(`invalid field key ${key}`);
    }
  }
  return `${published === "" ? "" : `${published}:`}${target}/${protocol}`;
}
