import { invalid } from "../../../base/lib/errors.ts";
import type { EndpointSettings } from "../../../base/spec/docker/api.gen.ts";
import { parseCsv } from "../../flags/flag.ts";

/** One --network value. */
export interface NetworkAttachment {
  readonly target: string;
  readonly aliases: readonly string[];
  readonly driverOpts: Readonly<Record<string, string>>;
  readonly links: readonly string[];
  readonly ip: string;
  readonly ip6: string;
  readonly linkLocal: readonly string[];
  readonly mac: string;
  readonly priority: number;
}

/** `--network NAME` or `--network name=NAME,alias=a,ip=172.18.0.9,...`. */
export function parseNetwork(value: string): NetworkAttachment {
  const plain = {
    aliases: [],
    driverOpts: {},
    links: [],
    ip: "",
    ip6: "",
    linkLocal: [],
    mac: "",
    priority: 0,
  };
  if (!/\w+=\w+(,\w+=\w+)*/.test(value)) return { target: value, ...plain };
  let target = "";
  const aliases: string[] = [];
  const driverOpts: Record<string, string> = {};
  const linkLocal: string[] = [];
  const rest = { ip: "", ip6: "", mac: "", priority: 0 };
  for (const field of parseCsv(value)) {
    const at = field.indexOf("=");
    if (at <= 0) throw invalid(`invalid field ${field}`);
    const key = field.slice(0, at).trim().toLowerCase();
    const text = field.slice(at + 1).trim();
    switch (key) {
      case "name":
        target = text;
        break;
      case "alias":
        aliases.push(text);
        break;
      case "ip":
      case "ip6":
        rest[key] = text;
        break;
      case "mac-address":
        rest.mac = text;
        break;
      case "link-local-ip":
        linkLocal.push(text);
        break;
      case "driver-opt": {
        const equals = text.indexOf("=");
        if (equals <= 0) throw invalid("invalid key value pair format in driver options");
        driverOpts[text.slice(0, equals).trim().toLowerCase()] = text.slice(equals + 1).trim();
        break;
      }
      case "gw-priority":
        if (!/^[+-]?\d+$/.test(text)) throw invalid(`invalid gw-priority (${text}): invalid syntax`);
        rest.priority = Number(text);
        break;
      default:
        throw invalid(`invalid field key ${key}`);
    }
  }
  if (target === "") throw invalid("network name/id is not specified");
  return { ...plain, ...rest, target, aliases, driverOpts, linkLocal };
}

/** The options without --network's long form, which speak for the first network. */
export interface NetworkDefaults {
  readonly aliases: readonly string[];
  readonly links: readonly string[];
  readonly ip: string;
  readonly ip6: string;
  readonly mac: string;
  readonly linkLocal: readonly string[];
}

const reserved = new Set(["default", "bridge", "host", "none"]);
const isUserDefined = (mode: string) => !reserved.has(mode) && !mode.startsWith("container:");

/** Puts all network options together: the mode (first network) and the endpoint settings of each. */
export function networkConfig(
  attachments: readonly NetworkAttachment[],
  defaults: NetworkDefaults,
): { mode: string; endpoints: Record<string, EndpointSettings> } {
  const endpoints: Record<string, EndpointSettings> = {};
  const first = attachments[0];
  if (!first) {
    const settings = endpoint(merge(parseNetwork("default"), defaults));
    if (settings) endpoints["default"] = settings;
    return { mode: "default", endpoints };
  }
  const userDefined = attachments.filter(({ target }) => isUserDefined(target)).length;
  attachments.forEach((attachment, at) => {
    const { target } = attachment;
    const settings = endpoint(at === 0 ? merge(attachment, defaults) : attachment);
    if (target in endpoints) throw invalid(`network ${JSON.stringify(target)} is specified multiple times`);
    if (settings || attachments.length > 1) endpoints[target] = settings ?? {};
  });
  if (userDefined > 0 && userDefined < attachments.length) {
    throw invalid("conflicting options: cannot attach both user-defined and non-user-defined network-modes");
  }
  return { mode: first.target, endpoints };
}

function merge(own: NetworkAttachment, defaults: NetworkDefaults): NetworkAttachment {
  const both = (a: { length: number }, b: { length: number }, what: string) => {
    if (a.length > 0 && b.length > 0) throw invalid(`conflicting options: cannot specify both ${what}`);
  };
  both(own.aliases, defaults.aliases, "--network-alias and per-network alias");
  both(own.links, defaults.links, "--link and per-network links");
  both(own.ip, defaults.ip, "--ip and per-network IPv4 address");
  both(own.ip6, defaults.ip6, "--ip6 and per-network IPv6 address");
  both(own.mac, defaults.mac, "--mac-address and per-network MAC address");
  both(own.linkLocal, defaults.linkLocal, "--link-local-ip and per-network link-local IP addresses");
  return {
    ...own,
    aliases: own.aliases.length > 0 ? own.aliases : defaults.aliases,
    // On the default bridge links are HostConfig's matter.
    links: own.target === "default" || defaults.links.length === 0 ? own.links : defaults.links,
    ip: own.ip || defaults.ip,
    ip6: own.ip6 || defaults.ip6,
    mac: own.mac || defaults.mac,
    linkLocal: own.linkLocal.length > 0 ? own.linkLocal : defaults.linkLocal,
  };
}

function endpoint(attachment: NetworkAttachment): EndpointSettings | undefined {
  const { target, aliases, links, driverOpts, ip, ip6, linkLocal, mac, priority } = attachment;
  if (target.trim() === "") throw invalid("no name set for network");
  if (!isUserDefined(target)) {
    if (aliases.length > 0)
      throw invalid("network-scoped aliases are only supported for user-defined networks");
    if (links.length > 0) throw invalid("user-defined links are only supported for user-defined networks");
  }
  if (mac !== "" && !isMac(mac)) throw invalid(`${mac} is not a valid mac address`);
  const settings: EndpointSettings = {
    ...(aliases.length > 0 ? { Aliases: [...aliases] } : {}),
    ...(links.length > 0 ? { Links: [...links] } : {}),
    ...(Object.keys(driverOpts).length > 0 ? { DriverOpts: { ...driverOpts } } : {}),
    ...(mac === "" ? {} : { MacAddress: mac }),
    ...(priority === 0 ? {} : { GwPriority: priority }),
    ...(ip === "" && ip6 === "" && linkLocal.length === 0
      ? {}
      : {
          IPAMConfig: {
            ...(ip === "" ? {} : { IPv4Address: ip }),
            ...(ip6 === "" ? {} : { IPv6Address: ip6 }),
            ...(linkLocal.length === 0 ? {} : { LinkLocalIPs: [...linkLocal] }),
          },
        }),
  };
  return Object.keys(settings).length > 0 ? settings : undefined;
}

/** What Go's net.ParseMAC takes: 6, 8 or 20 octets with ":" or "-", or groups of four digits with ".". */
export function isMac(text: string): boolean {
  const octets = (text.length + 1) / 3;
  if (/^[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1)*[0-9a-f]{2}$/i.test(text)) return [6, 8, 20].includes(octets);
  return /^(?:[0-9a-f]{4}\.)+[0-9a-f]{4}$/i.test(text) && [14, 19, 49].includes(text.length);
}
