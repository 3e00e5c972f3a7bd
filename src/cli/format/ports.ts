import type { PortSummary } from "../../base/spec/docker/api.gen.ts";

/** Host and port as one text; IPv6 addresses in brackets. */
export function hostPort(host: string, port: number | string): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * The PORTS column: neighbouring ports of one address and protocol merge into ranges when host and container port are
 * equal; mappings to other ports follow one by one.
 */
export function portColumn(ports: readonly PortSummary[]): string {
  const sorted = [...ports].sort(
    (a, b) =>
      a.PrivatePort - b.PrivatePort ||
      compare(a.IP ?? "", b.IP ?? "") ||
      (a.PublicPort ?? 0) - (b.PublicPort ?? 0) ||
      compare(a.Type, b.Type),
  );
  const open = new Map<string, { ip: string; type: string; first: number; last: number }>();
  const done: string[] = [];
  const mappings: string[] = [];
  for (const port of sorted) {
    const ip = port.IP ?? "";
    if (ip !== "" && port.PublicPort !== port.PrivatePort) {
      mappings.push(`${hostPort(ip, port.PublicPort ?? 0)}->${port.PrivatePort}/${port.Type}`);
      continue;
    }
    const key = `${ip}/${port.Type}`;
    const range = open.get(key);
    if (range && port.PrivatePort === range.last + 1) range.last = port.PrivatePort;
    else if (!range || port.PrivatePort !== range.last) {
      if (range) done.push(rangeText(range));
      open.delete(key);
      open.set(key, { ip, type: port.Type, first: port.PrivatePort, last: port.PrivatePort });
    }
  }
  return [...done, ...[...open.values()].map(rangeText), ...mappings].join(", ");
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

function rangeText(range: { ip: string; type: string; first: number; last: number }): string {
  const ports = range.first === range.last ? String(range.first) : `${range.first}-${range.last}`;
  return `${range.ip === "" ? "" : `${hostPort(range.ip, ports)}->`}${ports}/${range.type}`;
}
