import { expect, test } from "bun:test";
import type { ContainerId } from "../../base/lib/ids.ts";
import { openDatabase } from "../../base/store/database.ts";
import { type UnreadableRecord, UnreadableRecords } from "../../base/store/unreadable.ts";
import { parseContainerName, randomName } from "./names.ts";
import { type ContainerRecord, freshState } from "./record.ts";
import { ContainerStore } from "./store.ts";

const id = (letter: string) => letter.repeat(64) as ContainerId;
const record = (letter: string, name: string): ContainerRecord => ({
  id: id(letter),
  name,
  definition: {
    created: "2026-01-01T00:00:00Z",
    imageId: "",
    imageReference: "busybox",
    imageManifest: undefined,
    platform: { os: "linux", architecture: "amd64" },
    path: "sh",
    args: [],
    config: {},
    host: {},
    mounts: [],
    networks: {},
    logPath: "",
    driver: "overlay2",
  },
  state: freshState,
});

test("records outlive the store that wrote them, with every change", () => {
  const db = openDatabase(":memory:");
  const store = new ContainerStore(db);
  store.insert(record("a", "web"));
  store.setState(id("a"), { status: "exited", exitCode: 3 });
  store.rename(id("a"), "site");
  const again = new ContainerStore(db);
  expect(again.resolve("site")).toMatchObject({ id: id("a"), state: { status: "exited", exitCode: 3 } });
  again.delete(id("a"));
  expect(new ContainerStore(db).size).toBe(0);
});

test("a container is found by id, name, slashed name and unique prefix", () => {
  const store = new ContainerStore(openDatabase(":memory:"));
  store.insert(record("a", "abc"));
  store.insert({ ...record("b", "web"), id: `${"a".repeat(10)}${"b".repeat(54)}` as ContainerId });
  expect(store.resolve("/web").name).toBe("web");
  expect(store.resolve("abc").id).toBe(id("a"));
  expect(store.resolve("aaaaaaaaaab").name).toBe("web");
  expect(() => store.resolve("aaaa")).toThrow("multiple IDs found with provided prefix: aaaa");
  expect(() => store.resolve("nope")).toThrow("No such container: nope");
});

test("a name belongs to one container, also while that one is being made", () => {
  const store = new ContainerStore(openDatabase(":memory:"));
  {
    using _taken = store.reserve("web", id("a"));
    expect(() => store.reserve("web", id("b"))).toThrow(
      `Conflict. The container name "/web" is already in use by container "${id("a")}". You have to remove (or rename) that container to be able to reuse that name.`,
    );
  }
  store.insert(record("c", "web"));
  store.insert(record("d", "db"));
  expect(() => store.rename(id("d"), "web")).toThrow("already in use");
});

test("names follow Docker's rule, and random ones avoid those taken", () => {
  expect(parseContainerName("/web-1.x")).toBe("web-1.x");
  for (const bad of ["", "-web", "a b", "a/b", "x"])
    expect(() => parseContainerName(bad)).toThrow("Invalid container name");
  const seen = new Set<string>();
  for (let n = 0; n < 500; n++) seen.add(randomName((name) => seen.has(name)));
  expect(seen.size).toBe(500);
  for (const name of seen) expect(name).toMatch(/^[a-z]+_[a-z]+\d*$/);
});

test("a record that cannot be read is set aside: its row and name stay, and the others are there", () => {
  const db = openDatabase(":memory:");
  const before = new ContainerStore(db);
  for (const [letter, name] of [
    ["a", "torn"],
    ["b", "zeroed"],
    ["c", "whole"],
  ] as const)
    before.insert(record(letter, name));
  db.query("UPDATE container SET definition = substr(definition, 1, 40) WHERE name = 'torn'").run();
  db.query("UPDATE container SET state = '{}' WHERE name = 'zeroed'").run();
  const told: UnreadableRecord[] = [];
  const unreadable = new UnreadableRecords({ noticed: (one) => told.push(one), repaired: () => undefined });
  const store = new ContainerStore(db, unreadable);
  expect([...store.list()].map(({ name }) => name)).toEqual(["whole"]);
  expect([...store.setAside]).toEqual([id("a"), id("b")]);
  expect(told.map(({ column, key }) => [column, ...key])).toEqual([
    ["definition", "id", id("a")],
    ["state", "id", id("b")],
  ]);
  expect(() => store.reserve("torn", id("d"))).toThrow(`already in use by container "${id("a")}"`);
  expect(() => store.rename(id("c"), "zeroed")).toThrow("already in use");
  expect(db.query<{ n: number }, []>("SELECT count(*) AS n FROM container").get()?.n).toBe(3);
});
