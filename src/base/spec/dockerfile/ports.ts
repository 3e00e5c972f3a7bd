import { isIP } from "node:net";
import { invalid, TugError } from "../../lib/errors.ts";

export interface ExposedPorts {
  /** "80/tcp", every port of a range. */
  readonly ports: readonly string[];
  /** The protocol was not in lower case. */
  readonly oddCase: boolean;
  /** An address or a port of the host was named, which EXPOSE does not publish. */
  readonly mapped: boolean;
}

/** One word of EXPOSE: "80", "80-90/udp", and what people mistake it for, "[address:]host:container". */
export function parseExposed(text: string): ExposedPorts {
  const parts = text.split(":");
  const container = parts.at(-1) ?? "";
  const host = parts.at(-2) ?? "";
  const address = parts.slice(0, -2).join(":");
  const slash = container.indexOf("/");
  const port = slash < 0 ? container : container.slice(0, slash);
  const protocol = slash < 0 ? "tcp" : container.slice(slash + 1) || "tcp";
  if (port === "") throw invalid(`invalid port: ${JSON.stringify(text)}: no port specified`);
  const lower = protocol.toLowerCase();
  if (lower !== "tcp" && lower !== "udp" && lower !== "sctp")
    throw invalid(`invalid port: ${JSON.stringify(text)}: invalid proto: ${protocol}`);
  const bare = address.replace(/^\[(.*)\]$/, "$1");
  if (bare !== "" && isIP(bare) === 0) throw invalid(`invalid IP address: ${bare}`);
  const [from, to] = range("containerPort", port);
  if (host !== "") {
    const [hostFrom, hostTo] = range("hostPort", host);
    if (to !== from && to - from !== hostTo - hostFrom)
      throw invalid(`invalid ranges specified for container and host Ports: ${port} and ${host}`);
  }
  return {
    ports: Array.from({ length: to - from + 1 }, (_, i) => `${from + i}/${lower}`),
    oddCase: protocol !== lower,
    mapped: address !== "" || host !== "",
  };
}

function range(what: string, text: string): readonly [number, number] {
  try {
    const at = text.indexOf("-");
    const from = number(at < 0 ? text : text.slice(0, at));
    const to = at < 0 ? from : number(text.slice(at + 1));
    if (to < from) throw invalid(`invalid port range: ${text}`);
    return [from, to];
  } catch (error) {
    if (!(error instanceof TugError)) throw error;
    throw invalid(`invalid ${what}: ${text}`, error);
  }
}

function number(text: string): number {
  const value = /^[+-]?\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= 0 && value <= 65535) return value;
  throw invalid(`invalid port ${JSON.stringify(text)}`);
}
