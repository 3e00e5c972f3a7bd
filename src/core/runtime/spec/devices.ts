import { invalid, TugError } from "../../../base/lib/errors.ts";
import type { HostConfig } from "../../../base/spec/docker/api.gen.ts";
import type { CdiDocument, CdiEdits, DeviceNode, HostFacts } from "../spec.ts";

export interface OciDevice {
  readonly path: string;
  readonly type: "c" | "b" | "p" | "u";
  readonly major: number;
  readonly minor: number;
  readonly fileMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface DeviceRule {
  readonly allow: boolean;
  readonly type?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly access: string;
}

export interface DeviceSet {
  readonly devices: readonly OciDevice[];
  readonly rules: readonly DeviceRule[];
  readonly edits: readonly CdiEdits[];
  readonly warnings: readonly string[];
}

const allow = (type: string, major: number, minor: number, access = "rwm"): DeviceRule => ({
  allow: true,
  type,
  major,
  minor,
  access,
});

/** zero, null, urandom, random, tty, console: what every container may use; fuse stays denied. */
const DEFAULT_RULES: readonly DeviceRule[] = [
  { allow: false, access: "rwm" },
  allow("c", 1, 5),
  allow("c", 1, 3),
  allow("c", 1, 9),
  allow("c", 1, 8),
  allow("c", 5, 0),
  allow("c", 5, 1),
  { allow: false, type: "c", major: 10, minor: 229, access: "rwm" },
];

/** Parts of /dev that a privileged container has instances of its own of. */
const NOT_SHARED = /^\/dev\/(?:pts|shm|fd|mqueue|console|\.lxc|\.lxd-mounts|\.udev)(?:\/|$)/;
const RULE = /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/;
const ACCESS = /^[rwm]{1,3}$/;

/** The device nodes and device-cgroup rules of a container. */
export function containerDevices(host: HostConfig, facts: HostFacts): DeviceSet {
  const edits = cdiEdits(host, facts);
  if (host.Privileged) {
    const isShared = (path: string) => !NOT_SHARED.test(path);
    // Programs of the host keep files in /dev/shm, in trees of any size.
    const shared = (facts.devices.below("/dev", isShared) ?? [])
      .filter((node) => isShared(node.path))
      .map((node) => ociDevice(node, node.path));
    const mapped = (host.Devices ?? []).flatMap((mapping) => mappedDevices(mapping, facts).devices);
    return {
      devices: unique([...shared, ...mapped]),
      rules: [{ allow: true, access: "rwm" }],
      edits,
      warnings: [],
    };
  }
  const devices: OciDevice[] = [];
  const rules: DeviceRule[] = [...DEFAULT_RULES];
  for (const mapping of host.Devices ?? []) {
    const found = mappedDevices(mapping, facts);
    devices.push(...found.devices);
    rules.push(...found.rules);
  }
  for (const rule of host.DeviceCgroupRules ?? []) rules.push(parseDeviceRule(rule));
  for (const edit of edits) {
    for (const node of edit.deviceNodes ?? []) {
      const device = cdiDevice(node, facts);
      devices.push(device);
      rules.push(allow(device.type, device.major, device.minor, node.permissions || "rwm"));
    }
  }
  return { devices: unique(devices), rules, edits, warnings: [] };
}

/** "c 1:3 rwm", with * for any number. */
function parseDeviceRule(rule: string): DeviceRule {
  const [, type, major, minor, access] = RULE.exec(rule) ?? [];
  if (!type || !major || !minor || !access) throw invalid(`invalid device cgroup rule format: '${rule}'`);
  return {
    allow: true,
    type,
    ...(major === "*" ? {} : { major: Number(major) }),
    ...(minor === "*" ? {} : { minor: Number(minor) }),
    access,
  };
}

function mappedDevices(
  mapping: NonNullable<HostConfig["Devices"]>[number],
  facts: HostFacts,
): { devices: OciDevice[]; rules: DeviceRule[] } {
  const source = mapping.PathOnHost ?? "";
  const target = mapping.PathInContainer || source;
  const access = mapping.CgroupPermissions || "rwm";
  if (!ACCESS.test(access)) throw invalid(`invalid device mode: ${access}`);
  const node = facts.devices.node(source);
  const nodes = node ? [{ node, path: target }] : nodesBelow(source, target, facts);
  if (nodes.length === 0) {
    const why = facts.devices.exists(source) ? "not a device node" : "no such file or directory";
    throw new TugError(
      "internal",
      `error gathering device information while adding custom device ${JSON.stringify(source)}: ${why}`,
    );
  }
  return {
    devices: nodes.map(({ node: found, path }) => ociDevice(found, path)),
    rules: nodes.map(({ node: found }) => allow(found.type, found.major, found.minor, access)),
  };
}

function nodesBelow(source: string, target: string, facts: HostFacts): { node: DeviceNode; path: string }[] {
  const base = source.replace(/\/+$/, "");
  return (facts.devices.below(base) ?? []).map((node) => ({
    node,
    path: target.replace(/\/+$/, "") + node.path.slice(base.length),
  }));
}

function ociDevice(node: DeviceNode, path: string): OciDevice {
  const { type, major, minor, fileMode, uid, gid } = node;
  return { path, type, major, minor, fileMode, uid, gid };
}

/** The last of several nodes at one path counts. */
function unique(devices: readonly OciDevice[]): readonly OciDevice[] {
  return [...new Map(devices.map((device) => [device.path, device])).values()];
}

/**
 * The edits that device requests of the "cdi" driver name ("vendor.com/class=device", "=all" for every one). Other drivers
 * than CDI have no device on this engine, which is said as Docker says it.
 */
function cdiEdits(host: HostConfig, facts: HostFacts): readonly CdiEdits[] {
  const requests = host.DeviceRequests ?? [];
  if (requests.length === 0) return [];
  const documents = facts.cdi();
  const edits = new Set<CdiEdits>();
  for (const request of requests) {
    if (request.Driver !== "cdi") {
      const capabilities = (request.Capabilities ?? []).map((list) => `[${list.join(" ")}]`).join(" ");
      throw new TugError(
        "internal",
        `could not select device driver "${request.Driver ?? ""}" with capabilities: [${capabilities}]`,
      );
    }
    for (const name of request.DeviceIDs ?? [])
      for (const edit of cdiDeviceEdits(name, documents)) edits.add(edit);
  }
  return [...edits];
}

function cdiDeviceEdits(name: string, documents: readonly CdiDocument[]): readonly CdiEdits[] {
  const [kind = "", device] = name.split("=");
  const found: CdiEdits[] = [];
  for (const document of documents) {
    if (document.kind !== kind) continue;
    const devices = document.devices.filter((entry) => device === "all" || entry.name === device);
    if (devices.length === 0) continue;
    if (document.containerEdits) found.push(document.containerEdits);
    found.push(...devices.map((entry) => entry.containerEdits));
  }
  if (found.length === 0)
    throw new TugError("internal", `CDI device injection failed: unresolvable CDI devices ${name}`);
  return found;
}

function cdiDevice(node: NonNullable<CdiEdits["deviceNodes"]>[number], facts: HostFacts): OciDevice {
  const host = facts.devices.node(node.hostPath ?? node.path);
  const type = node.type ?? host?.type;
  const major = node.major ?? host?.major;
  const minor = node.minor ?? host?.minor;
  if ((type !== "c" && type !== "b") || major === undefined || minor === undefined)
    throw new TugError(
      "internal",
      `CDI device injection failed: no such device node: ${node.hostPath ?? node.path}`,
    );
  return {
    path: node.path,
    type,
    major,
    minor,
    fileMode: node.fileMode ?? host?.fileMode ?? 0o660,
    uid: node.uid ?? 0,
    gid: node.gid ?? 0,
  };
}
