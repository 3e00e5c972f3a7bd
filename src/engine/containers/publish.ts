import { conflict, invalid, isCode } from "../../base/lib/errors.ts";
import type { HostConfig, PortMap } from "../../base/spec/docker/api.gen.ts";
import type { ContainerContext } from "./context.ts";
import { parsePortKeys, planPublications, portWarnings } from "./ports.ts";
import { type ContainerRecord, isAlive } from "./record.ts";
import { currentEndpoints } from "./start/endpoints.ts";

/** What a `--publish-add` or `--publish-rm` names: one port of the container, and where on the host. */
export interface PublishSpec {
  /** "80/tcp" */
  readonly key: string;
  readonly hostIp: string;
  readonly hostPort: string;
}

/** `[[ip:][hostPort]:]containerPort[/protocol]` as -p takes it, with ranges on both sides. */
export function parsePublish(text: string): readonly PublishSpec[] {
  const match = /^(?:(?:(\[[^\]]*\]|[^:]*):)?(\d+(?:-\d+)?)?:)?(\d+(?:-\d+)?(?:\/[a-zA-Z]+)?)$/.exec(text);
  if (!match)
    throw invalid(`invalid publish opts format (should be [[ip:]port:]port[/protocol] but got '${text}')`);
  const [, ip = "", host = "", container = ""] = match;
  const ports = parsePortKeys(container);
  const [first = 0, last = first] = host.split("-").map(Number);
  if (last < first || last > 65535) throw invalid(`invalid hostPort: ${host}`);
  const pairs = host !== "" && last - first + 1 === ports.length;
  if (host !== "" && !pairs && ports.length > 1) {
    throw invalid(
      `invalid ranges specified for container and host Ports: ${container.split("/")[0]} and ${host}`,
    );
  }
  return ports.map(({ port, protocol }, index) => ({
    key: `${port}/${protocol}`,
    hostIp: ip.replace(/^\[(.*)\]$/, "$1"),
    hostPort: pairs ? String(first + index) : host,
  }));
}

/** The bindings after an update: pure. What is removed must be there, what is added must not. */
export function changePortBindings(
  before: PortMap,
  add: readonly string[],
  remove: readonly string[],
): PortMap {
  const after: PortMap = Object.fromEntries(
    Object.entries(before).map(([key, list]) => [key, [...(list ?? [])]]),
  );
  for (const text of remove) {
    for (const spec of parsePublish(text)) {
      // A lone number is the container's port, or else the host's: both are what people read in `ps`.
      if (!takeOut(after, spec) && (text.includes(":") || !takeOutHostPort(after, spec.key)))
        throw invalid(`port ${text} is not published`);
    }
  }
  for (const text of add) {
    for (const spec of parsePublish(text)) {
      const list = after[spec.key] ?? [];
      const twice = list.some(
        (one) => spec.hostPort !== "" && one.HostPort === spec.hostPort && (one.HostIp ?? "") === spec.hostIp,
      );
      if (twice) throw conflict(`port ${text} is published already`);
      after[spec.key] = [...list, { HostIp: spec.hostIp, HostPort: spec.hostPort }];
    }
  }
  return after;
}

/** False when there is no such binding. */
function takeOut(bindings: PortMap, { key, hostIp, hostPort }: PublishSpec): boolean {
  const list = bindings[key] ?? [];
  return keep(
    bindings,
    key,
    list.filter(
      (one) =>
        (hostPort !== "" && one.HostPort !== hostPort) || (hostIp !== "" && (one.HostIp ?? "") !== hostIp),
    ),
  );
}

function takeOutHostPort(bindings: PortMap, hostKey: string): boolean {
  const [number = "", protocol = ""] = hostKey.split("/");
  const found = Object.entries(bindings).map(([key, list]) =>
    key.endsWith(`/${protocol}`)
      ? keep(
          bindings,
          key,
          (list ?? []).filter((one) => one.HostPort !== number),
        )
      : false,
  );
  return found.includes(true);
}

function keep(bindings: PortMap, key: string, kept: NonNullable<PortMap[string]>): boolean {
  const changed = kept.length !== (bindings[key] ?? []).length;
  if (kept.length > 0) bindings[key] = kept;
  else if (changed) Reflect.deleteProperty(bindings, key);
  return changed;
}

/** Brings a live container's publications in line with `host`; its connections go on. The caller holds the lock. */
export async function republish(
  context: ContainerContext,
  record: ContainerRecord,
  host: HostConfig,
): Promise<void> {
  if (!isAlive(record)) return;
  const [endpoint] = Object.values(record.state.endpoints);
  if (!endpoint) {
    throw invalid("ports of a container without a network of its own cannot be published");
  }
  await context.networks.publish(
    endpoint,
    planPublications(record.definition.config, host, context.defaults.publishIp),
  );
  context.store.setState(record.id, { endpoints: currentEndpoints(context, record) });
}

/** Warnings about published ports of a container on these networks; one that is not there yet may be anything. */
export function publishWarnings(
  context: ContainerContext,
  host: HostConfig,
  networks: Iterable<string>,
): readonly string[] {
  const hasIPv6 = (name: string): boolean => {
    try {
      return context.networks.resolve(name).enableIPv6;
    } catch (error) {
      if (isCode(error, "not-found")) return true;
      throw error;
    }
  };
  return portWarnings(host.PortBindings ?? {}, [...networks].some(hasIPv6));
}
