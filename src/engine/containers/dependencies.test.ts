import { expect, test } from "bun:test";
import type { ContainerId } from "../../base/lib/ids.ts";
import { randomNumbers } from "../../base/lib/testdata/random-numbers.ts";
import type { TugHostConfig } from "../../base/spec/docker/extensions.ts";
import { needsOf, orderedNeedsOf, reaches, refuseCircle } from "./dependencies.ts";
import type { ContainerRecord } from "./record.ts";

/** Containers by name; the id is the name in upper case. */
function world(hosts: Record<string, TugHostConfig>) {
  const record = (name: string) =>
    hosts[name] && ({ id: name.toUpperCase(), name, definition: { host: hosts[name] } } as ContainerRecord);
  return {
    byName: record,
    get: (id: ContainerId) => (id === id.toUpperCase() ? record(id.toLowerCase()) : undefined),
  };
}

const on = (...names: string[]): TugHostConfig => ({
  DependsOn: Object.fromEntries(names.map((name) => [name, {}])),
});

test("namespaces, links, volumes and what is named are needed; a condition that is named wins", () => {
  const lookup = world({ net: {}, pid: {}, link: {}, vol: {}, db: {} });
  const host: TugHostConfig = {
    NetworkMode: "container:NET",
    PidMode: "container:pid",
    Links: ["/link:/me/alias", "db:db"],
    VolumesFrom: ["vol:ro", "nosuch"],
    DependsOn: { "/db": { Condition: "healthy" }, later: {} },
  };
  expect(needsOf(lookup, host).map(({ id, condition }) => `${id} ${condition}`)).toEqual([
    "NET started",
    "PID started",
    "LINK started",
    "DB healthy",
    "VOL started",
  ]);
});

test("a circle is refused with its path, however long, also through a name that is not there yet", () => {
  const lookup = world({ b: on("c"), c: { NetworkMode: "container:D" }, d: on("a", "b2"), b2: {} });
  expect(() => refuseCircle(lookup, "a", on("b"))).toThrow(
    "dependency cycle detected: a -> b -> c -> d -> a",
  );
  expect(() => refuseCircle(lookup, "a", on("/a"))).toThrow("dependency cycle detected: a -> a");
  expect(() => refuseCircle(lookup, "e", on("b", "c", "d"))).not.toThrow();
});

test("a circle that does not go through the container is none of its business, and ends", () => {
  const lookup = world({ x: on("y"), y: on("x") });
  expect(() => refuseCircle(lookup, "a", on("x"))).not.toThrow();
});

test("a chain of a thousand containers is walked in no time", () => {
  const hosts: Record<string, TugHostConfig> = {};
  for (let i = 0; i < 1000; i++) hosts[`c${i}`] = on(`c${i + 1}`);
  expect(() => refuseCircle(world(hosts), "c1000", on("c0"))).toThrow(/c0 -> c1 .*c999 -> c1000$/);
});

test("nobody waits for ever: of any needs, those that are waited for form no circle, and only needs inside of circles are left out", () => {
  const random = randomNumbers(7);
  for (let round = 0; round < 200; round++) {
    const names = Array.from({ length: 2 + Math.floor(random() * 7) }, (_, index) => `c${index}`);
    const hosts = Object.fromEntries(
      names.map((name) => [name, on(...names.filter((other) => other !== name && random() < 0.3))]),
    );
    const lookup = world(hosts);
    const idOf = (name: string) => name.toUpperCase() as ContainerId;
    const waits = new Map(
      names.map((name) => [
        idOf(name),
        orderedNeedsOf(lookup, lookup.byName(name) as ContainerRecord).map(({ id }) => id),
      ]),
    );
    // Whoever waits for nobody that is still there goes: in the end all went.
    const left = new Set(waits.keys());
    for (let before = Infinity; left.size < before; ) {
      before = left.size;
      for (const id of left) if (!waits.get(id)?.some((need) => left.has(need))) left.delete(id);
    }
    expect([...left]).toEqual([]);
    for (const name of names) {
      const omitted = needsOf(lookup, hosts[name] ?? {}).filter(
        ({ id }) => !waits.get(idOf(name))?.includes(id),
      );
      for (const { id } of omitted) expect(reaches(lookup, id, idOf(name))).toBe(true);
    }
  }
});
