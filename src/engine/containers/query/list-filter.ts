import { invalid, isCode, messageOf } from "../../../base/lib/errors.ts";
import { Filters, type WireFilters } from "../../filters/filters.ts";
import type { ContainerContext } from "../context.ts";
import { parsePortKeys, portMap } from "../ports.ts";
import { type ContainerRecord, isAlive, isRunning } from "../record.ts";
import { createdAt } from "./age.ts";
import { healthStatus } from "./status-text.ts";

const accepted = [
  "ancestor",
  "before",
  "exited",
  "expose",
  "health",
  "id",
  "isolation",
  "is-task",
  "label",
  "name",
  "network",
  "publish",
  "since",
  "status",
  "volume",
];
const statuses = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
const healths = ["none", "starting", "healthy", "unhealthy"];

export interface ListFilter {
  /** A status filter shows stopped containers without `all`. */
  readonly impliesAll: boolean;
  matches(record: ContainerRecord): boolean;
}

/** Compiles the filters of a list request once; throws Docker's texts on values it does not know. */
export function compileListFilter(context: ContainerContext, wire: WireFilters): ListFilter {
  const filters = Filters.parse(wire, accepted);
  for (const value of filters.get("status")) {
    if (!statuses.includes(value)) {
      throw invalid(
        `invalid filter 'status=${value}': invalid value for state (${value}): must be one of ${statuses.join(", ")}`,
      );
    }
  }
  for (const value of filters.get("health")) {
    if (!healths.includes(value)) {
      throw invalid(
        `invalid filter 'health=${value}': invalid value for health (${value}): must be one of ${healths.join(", ")}`,
      );
    }
  }
  const codes = filters.get("exited").map((value) => {
    if (!/^[+-]?\d+$/.test(value)) {
      throw invalid(
        `invalid filter 'exited=${value}': strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`,
      );
    }
    return Number(value);
  });
  const isTask = filters.bool("is-task", false);
  const before = anchor(context, filters.get("before"));
  const since = anchor(context, filters.get("since"));
  const ancestors = filters.has("ancestor") ? imageIds(context, filters.get("ancestor")) : undefined;
  const published = portSet("publish", filters.get("publish"));
  const exposed = portSet("expose", filters.get("expose"));
  const tests: ((record: ContainerRecord) => boolean)[] = [
    (record) => filters.match("id", record.id),
    (record) => filters.match("name", record.name) || filters.match("name", `/${record.name}`),
    (record) => filters.exact("status", record.state.status),
    (record) => filters.exact("health", healthStatus(record)),
    (record) => filters.matchLabels("label", record.definition.config.Labels ?? {}),
    (record) => filters.exact("isolation", record.definition.host.Isolation || "default"),
    () => !isTask,
  ];
  if (codes.length > 0) {
    tests.push(
      (record) => !isRunning(record) && record.state.everStarted && codes.includes(record.state.exitCode),
    );
  }
  if (before) tests.push((record) => createdAt(record) < createdAt(before));
  if (since) tests.push((record) => createdAt(record) > createdAt(since));
  if (ancestors) tests.push((record) => descends(context, record, ancestors));
  if (filters.has("volume")) {
    const wanted = filters.get("volume");
    tests.push((record) =>
      record.definition.mounts.some(
        (mount) =>
          wanted.includes(mount.target) ||
          (mount.type === "volume" && wanted.includes(mount.name)) ||
          (mount.type === "bind" && wanted.includes(mount.source)),
      ),
    );
  }
  if (filters.has("network")) tests.push((record) => onNetwork(context, record, filters.get("network")));
  if (published.size > 0 || exposed.size > 0) {
    tests.push((record) =>
      shownPorts(record).some(([port, host]) => published.has(host ?? "") || exposed.has(port)),
    );
  }
  return {
    impliesAll: filters.has("status"),
    matches: (record) => tests.every((test) => test(record)),
  };
}

function anchor(context: ContainerContext, values: readonly string[]): ContainerRecord | undefined {
  const last = values.at(-1);
  return last === undefined ? undefined : context.store.resolve(last);
}

/** Images that do not exist match nothing; Docker only warns about them. */
function imageIds(context: ContainerContext, references: readonly string[]): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const reference of references) {
    try {
      const { id, siblings } = context.images.resolve(reference);
      for (const each of [id, ...siblings]) ids.add(each);
    } catch (error) {
      if (!isCode(error, "not-found") && !isCode(error, "invalid-argument")) throw error;
      context.log.debug("no image for the ancestor filter", { reference });
    }
  }
  return ids;
}

function descends(
  context: ContainerContext,
  record: ContainerRecord,
  ancestors: ReadonlySet<string>,
): boolean {
  let id = record.definition.imageId;
  for (let depth = 0; id !== "" && depth < 1000; depth++) {
    if (ancestors.has(id)) return true;
    id = context.images.get(id)?.parent ?? "";
  }
  return false;
}

function onNetwork(context: ContainerContext, record: ContainerRecord, wanted: readonly string[]): boolean {
  return Object.keys(record.definition.networks).some((name) => {
    if (wanted.includes(name)) return true;
    try {
      const { id } = context.networks.resolve(name);
      return wanted.some((value) => value.length > 0 && id.startsWith(value));
    } catch (error) {
      if (!isCode(error, "not-found")) throw error;
      return false;
    }
  });
}

/** The ports that `ps` shows, of running containers only: "80/tcp" with the host's "8080/tcp" where it is published. */
function shownPorts(record: ContainerRecord): readonly (readonly [string, string | undefined])[] {
  if (!isAlive(record)) return [];
  const { config, host } = record.definition;
  const map = portMap(config, host, Object.values(record.state.endpoints));
  return Object.entries(map).flatMap(([port, bindings]): (readonly [string, string | undefined])[] => {
    const protocol = port.slice(port.indexOf("/"));
    if (!bindings) return [[port, undefined]];
    return bindings.map(({ HostPort }) => [port, `${HostPort}${protocol}`]);
  });
}

function portSet(filter: string, values: readonly string[]): ReadonlySet<string> {
  return new Set(
    values.flatMap((value) => {
      if (value.includes(":")) throw invalid(`filter for '${filter}' should not contain ':': ${value}`);
      const [first = ""] = value.split(/[-/]/);
      const wrong = /^\d+$/.test(first) ? undefined : `invalid start port '${first}': invalid syntax`;
      try {
        if (wrong) throw invalid(wrong);
        return parsePortKeys(value).map(({ port, protocol }) => `${port}/${protocol}`);
      } catch (error) {
        throw invalid(`error while looking up for ${filter} ${value}: ${messageOf(error)}`, error);
      }
    }),
  );
}
