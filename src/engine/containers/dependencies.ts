import { conflict } from "../../base/lib/errors.ts";
import type { ContainerId } from "../../base/lib/ids.ts";
import type { Dependency, TugHostConfig } from "../../base/spec/docker/extensions.ts";
import { containerOfMode } from "./network-mode.ts";
import type { ContainerRecord } from "./record.ts";

/** A container that another one needs, and what must hold of it. */
export interface Needed {
  readonly id: ContainerId;
  readonly condition: NonNullable<Dependency["Condition"]>;
}

/** Where containers are looked up; names that nobody has (yet) are no dependency. */
export interface Lookup {
  get(id: ContainerId): ContainerRecord | undefined;
  byName(name: string): ContainerRecord | undefined;
}

/**
 * What a container needs before it starts: those whose namespaces it joins, those it links to or takes volumes from, and those that
 * --depends-on names with their condition.
 */
export function needsOf(lookup: Lookup, host: TugHostConfig, self?: ContainerId): readonly Needed[] {
  const needs = new Map<ContainerId, Needed>();
  const add = (reference: string | undefined, condition: Needed["condition"]) => {
    const id = reference ? find(lookup, reference)?.id : undefined;
    if (id && id !== self) needs.set(id, { id, condition });
  };
  for (const mode of [host.NetworkMode, host.IpcMode, host.PidMode]) add(containerOfMode(mode), "started");
  for (const link of host.Links ?? []) add(link.split(":")[0], "started");
  for (const source of host.VolumesFrom ?? []) add(source.split(":")[0], "started");
  // Last: what is said in so many words wins.
  for (const [name, need] of Object.entries(host.DependsOn ?? {})) add(name, need.Condition ?? "started");
  return [...needs.values()];
}

/**
 * What a container waits for: what it needs, save what needs it in turn. Names may come to mean other containers after a create, so that needs
 * form a circle, which has no order; without the needs inside of circles nobody waits for ever, from wherever one is entered.
 */
export function orderedNeedsOf(lookup: Lookup, { id, definition }: ContainerRecord): readonly Needed[] {
  return needsOf(lookup, definition.host, id).filter((need) => !reaches(lookup, need.id, id));
}

/** Whether `from` needs `to`, or needs something that does. */
export function reaches(lookup: Lookup, from: ContainerId, to: ContainerId): boolean {
  const seen = new Set<ContainerId>([from]);
  for (const id of seen) {
    if (id === to) return true;
    const record = lookup.get(id);
    for (const need of record ? needsOf(lookup, record.definition.host, id) : []) seen.add(need.id);
  }
  return false;
}

/** Names may be written as `inspect` shows them, and stay names: they may belong to another container tomorrow. */
function find(lookup: Lookup, reference: string): ContainerRecord | undefined {
  const name = reference.replace(/^\//, "");
  return lookup.get(name as ContainerId) ?? lookup.byName(name);
}

/**
 * Refuses a circle, as nobody in it could ever be first. `name` is the container's, which others may have named before it was
 * there; breadth first, so that the shortest one is told.
 */
export function refuseCircle(lookup: Lookup, name: string, host: TugHostConfig): void {
  const seen = new Set<string>();
  const open: (readonly [host: TugHostConfig, path: readonly string[]])[] = [[host, [name]]];
  for (const [from, path] of open) {
    for (const next of neighbours(lookup, from)) {
      const longer = [...path, next];
      if (next === name) throw conflict(`dependency cycle detected: ${longer.join(" -> ")}`);
      const record = seen.has(next) ? undefined : lookup.byName(next);
      seen.add(next);
      if (record) open.push([record.definition.host, longer]);
    }
  }
}

/** By name, whether or not they are there. */
function neighbours(lookup: Lookup, host: TugHostConfig): ReadonlySet<string> {
  const names = Object.keys(host.DependsOn ?? {}).map((name) => {
    const bare = name.replace(/^\//, "");
    return lookup.get(bare as ContainerId)?.name ?? bare;
  });
  for (const { id } of needsOf(lookup, host)) names.push(lookup.get(id)?.name ?? id);
  return new Set(names);
}
