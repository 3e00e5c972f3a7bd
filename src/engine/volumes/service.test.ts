import { expect, test } from "bun:test";
import { systemClock } from "../../base/lib/clock.ts";
import { openDatabase } from "../../base/store/database.ts";
import { SqliteVolumeStore } from "../../core/volume/store.ts";
import type { VolumeDriver } from "../../core/volume/volume.ts";
import type { NewEvent } from "../events/event.ts";
import { announceVolumes } from "./announced.ts";
import { VolumeService } from "./service.ts";

function setUp() {
  const events: NewEvent[] = [];
  const driver: VolumeDriver = {
    name: "local",
    scope: "local",
    create: async () => undefined,
    remove: async () => undefined,
    path: (name) => `/v/${name}/_data`,
    mount: async (name) => `/v/${name}/_data`,
    unmount: async () => undefined,
  };
  const sqlite = new SqliteVolumeStore({
    database: openDatabase(":memory:"),
    drivers: new Map([["local", driver]]),
    contents: {
      isEmpty: async () => true,
      copyUp: async () => true,
      clear: async () => undefined,
      usage: async () => 100,
    },
    clock: systemClock,
  });
  const store = announceVolumes(sqlite, { publish: (event) => events.push(event) });
  const service = new VolumeService({
    store,
    events: { publish: (event) => events.push(event) },
    clock: systemClock,
  });
  const names = async (filters: Record<string, string[]>) =>
    (await service.list(filters)).Volumes?.map((volume) => volume.Name);
  return { service, store, events, names };
}

test("create answers in the wire's shape and announces a volume once", async () => {
  const { service, events } = setUp();
  const made = await service.create({ Name: "data", Labels: { a: "1" }, DriverOpts: {} });
  expect(made).toMatchObject({
    Name: "data",
    Driver: "local",
    Mountpoint: "/v/data/_data",
    Scope: "local",
    Labels: { a: "1" },
    Options: null,
  });
  expect(made.CreatedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  expect(await service.create({ Name: "data" })).toEqual(made);
  expect(await service.inspect("data")).toEqual(made);
  expect(events).toEqual([{ type: "volume", action: "create", id: "data", attributes: { driver: "local" } }]);
  await expect(service.inspect("none")).rejects.toThrow("get none: no such volume");
});

test("listing filters by name, label, driver and use", async () => {
  const { service, store, names } = setUp();
  await service.create({ Name: "web-data", Labels: { app: "web" } });
  await service.create({ Name: "db-data" });
  store.reference("db-data", "c1");
  expect(await names({})).toEqual(["db-data", "web-data"]);
  expect(await names({ name: ["web"] })).toEqual(["web-data"]);
  expect(await names({ label: ["app=web"] })).toEqual(["web-data"]);
  expect(await names({ dangling: ["true"] })).toEqual(["web-data"]);
  expect(await names({ dangling: ["0"] })).toEqual(["db-data"]);
  expect(await names({ driver: ["other"] })).toEqual([]);
  await expect(names({ colour: ["x"] })).rejects.toThrow("invalid filter 'colour'");
});

test("prune takes unnamed volumes nobody uses, and all of them when asked", async () => {
  const { service, store, events } = setUp();
  await service.create({ Name: "named" });
  const anonymous = await service.create({});
  const used = await service.create({});
  store.reference(used.Name, "c1");
  expect(await service.prune({})).toEqual({ VolumesDeleted: [anonymous.Name], SpaceReclaimed: 100 });
  expect(await service.prune({})).toEqual({ VolumesDeleted: [], SpaceReclaimed: 0 });
  expect(await service.prune({ all: ["true"] })).toEqual({ VolumesDeleted: ["named"], SpaceReclaimed: 100 });
  expect(events.at(-1)).toEqual({
    type: "volume",
    action: "prune",
    id: "",
    attributes: { reclaimed: "100" },
  });
});

test("a volume in use is not removed, and a missing one only by force without complaint", async () => {
  const { service, store, events } = setUp();
  await service.create({ Name: "data" });
  store.reference("data", "c1");
  await expect(service.remove("data", { force: true })).rejects.toThrow(
    "remove data: volume is in use - [c1]",
  );
  store.release("data", "c1");
  await service.remove("data", { force: false });
  expect(events.at(-1)?.action).toBe("destroy");
  await expect(service.remove("data", { force: false })).rejects.toThrow("get data: no such volume");
  await service.remove("data", { force: true });
  expect(events.filter((event) => event.action === "destroy").length).toBe(1);
});
