import { conflict, invalid } from "../../base/lib/errors.ts";
import type { HostConfig, PortMap } from "../../base/spec/docker/api.gen.ts";
import type { ContainerContext } from "./context.ts";
import { parsePortKeys, planPublications } from "./ports.ts";
import { type ContainerRecord, isAlive } from "./record.ts";

/** One `--publish-add` or `--publish-rm` value: [[ip:]hostPort:]containerPort[/protocol], as -p takes it. */
export interface PublishSpec {
  readonly key: string;
  readonly hostIp: string;
  readonly hostPort: string;
}

export function parsePublish(text: string): PublishSpec {
  const match = /^(?:(?:(\[[^\]]*\]|[^:]*):)?(\d+(?:-\d+)?)?:)?(\d+(?:\/[a-zA-Z]+)?)$/.exec(text);
  const [port] = match ? parsePortKeys(match[3] ?? "") : [];
  if (!match || !port)
    throw invalid(`invalid publish opts format (should be [[ip:]port:]port[/protocol] but got '${text}')`);
  return {
    key: `${port.port}/${port.protocol}`,
    hostIp: (match[1] ?? "").replace(/^\[(.*)\]$/, "$1"),
    hostPort: match[2] ?? "",
  };
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
    const spec = parsePublish(text);
    const list = after[spec.key] ?? [];
    const kept = list.filter(
      (one) =>
        (spec.hostPort !== "" && one.HostPort !== spec.hostPort) ||
        (spec.hostIp !== "" && (one.HostIp ?? "") !== spec.hostIp),
    );
    if (kept.length === list.length) throw invalid(`port ${text} is not published`);
    if (kept.length > 0) after[spec.key] = kept;
    else Reflect.deleteProperty(after, spec.key);
  }
  for (const text of add) {
    const spec = parsePublish(text);
    const list = after[spec.key] ?? [];
    const twice = list.some(
      (one) => spec.hostPort !== "" && one.HostPort === spec.hostPort && (one.HostIp ?? "") === spec.hostIp,
    );
    if (twice) throw conflict(`port ${text} is published already`);
    after[spec.key] = [...list, { HostIp: spec.hostIp, HostPort: spec.hostPort }];
  }
  return after;
}

/** Brings a live container's publications in line with `host`; its connections go on. The caller holds the lock. */
export async function republish(
  context: ContainerContext,
  record: ContainerRecord,
  host: HostConfig,
): Promise<void> {
  if (!isAlive(record)) return;
  const [name, endpoint] = Object.entries(record.state.endpoints)[0] ?? [];
  if (name === undefined || !endpoint) {
    throw invalid("ports of a container without a network of its own cannot be published");
  }
  const wanted = planPublications(record.definition.config, host, context.defaults.publishIp);
  // A port that was given by the system is kept.
  const ports = wanted.map((one) => {
    if (one.hostPort !== undefined) return one;
    const had = endpoint.ports.find(
      (port) =>
        port.containerPort === one.containerPort &&
        port.protocol === one.protocol &&
        port.hostIp === one.hostIp,
    );
    return had ?? one;
  });
  const changed = await context.networks.publish(endpoint, ports);
  context.store.setState(record.id, { endpoints: { ...record.state.endpoints, [name]: changed } });
}
