import { expect, test } from "bun:test";
import { systemClock } from "../../base/lib/clock.ts";
import { notFound, TugError } from "../../base/lib/errors.ts";
import type { ContainerId, NetworkId } from "../../base/lib/ids.ts";
import type {
  Endpoint,
  Network,
  NetworkSpec,
  NetworkService as Networks,
} from "../../core/network/network.ts";
import type { NewEvent } from "../events/event.ts";
import { NetworkService } from "./service.ts";

function setUp() {
  const events: NewEvent[] = [];
  const calls: string[] = [];
  const networks: Network[] = [];
  const endpoints = new Map<string, Endpoint[]>();
  const add = (spec: NetworkSpec, predefined = false): Network => {
    const network: Network = {
      ...spec,
      id: spec.name.padEnd(64, "0") as NetworkId,
      created: "2024-01-01T00:00:00.000000000Z",
      scope: "local",
      predefined,
    };
    networks.push(network);
    return network;
  };
  const core = {
    list: () => networks,
    create: async (spec: NetworkSpec) => add(spec),
    resolve: (name: string) => {
      const found = networks.find((network) => network.name === name || network.id === name);
      if (!found) throw notFound(`network ${name} not found`);
      return found;
    },
    endpoints: (id: string) => endpoints.get(id) ?? [],
    remove: async (id: string) => {
      const used = endpoints.get(id);
      if (used) throw new TugError("conflict", "network back has active endpoints");
      networks.splice(
        networks.findIndex((network) => network.id === id),
        1,
      );
    },
  } as unknown as Networks;
  const base = {
    options: {},
    labels: {},
    internal: false,
    attachable: false,
    enableIPv4: true,
    enableIPv6: false,
  };
  add(
    { ...base, name: "bridge", driver: "bridge", ipam: { driver: "default", options: {}, config: [] } },
    true,
  );
  const service = new NetworkService({
    networks: core,
    containers: {
      assertExists: () => undefined,
      connect: async (network, container) => void calls.push(`connect ${network.name} ${container}`),
      disconnect: async (network, container) => void calls.push(`disconnect ${network.name} ${container}`),
    },
    events: { publish: (event) => events.push(event) },
    clock: systemClock,
  });
  const names = async (filters: Record<string, string[]>) =>
    (await service.list(filters)).map((one) => one.Name);
  return { service, events, calls, endpoints, names };
}

const endpoint: Endpoint = {
  id: "e1",
  network: "back" as NetworkId,
  containerId: "c1" as ContainerId,
  containerName: "/web",
  aliases: [],
  dnsNames: [],
  mac: "02:42:ac:11:00:02",
  ipv4: "172.18.0.2",
  ipv4PrefixLength: 16,
  ipv4Gateway: "172.18.0.1",
  ipv6: "",
  ipv6PrefixLength: 0,
  ipv6Gateway: "",
  ports: [],
  attached: true,
};

test("create takes the wire's request, fills in defaults, and announces the network", async () => {
  const { service, events } = setUp();
  const { Id } = await service.create({
    Name: "back",
    IPAM: { Config: [{ Subnet: "172.18.0.0/16", IPRange: "", Gateway: "172.18.0.1" }] },
    Labels: { a: "1" },
  });
  expect(await service.inspect("back", { verbose: false, scope: undefined })).toMatchObject({
    Id,
    Name: "back",
    Driver: "bridge",
    Scope: "local",
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: { Driver: "default", Options: {}, Config: [{ Subnet: "172.18.0.0/16", Gateway: "172.18.0.1" }] },
    Containers: {},
    Labels: { a: "1" },
  });
  expect(events).toEqual([
    { type: "network", action: "create", id: Id, attributes: { name: "back", type: "bridge" } },
  ]);
});

test("names that are taken, predefined or empty are refused in Docker's words", async () => {
  const { service } = setUp();
  await service.create({ Name: "back" });
  await expect(service.create({ Name: "back" })).rejects.toThrow("network with name back already exists");
  await expect(service.create({ Name: "host" })).rejects.toThrow(
    "operation is not permitted on predefined host network ",
  );
  await expect(service.create({ Name: " " })).rejects.toThrow("name is empty");
});

test("inspect shows the endpoints that are plumbed", async () => {
  const { service, endpoints } = setUp();
  const { Id } = await service.create({ Name: "back" });
  endpoints.set(Id, [endpoint, { ...endpoint, containerId: "c2" as ContainerId, attached: false }]);
  const shown = await service.inspect("back", { verbose: false, scope: undefined });
  expect(shown).toMatchObject({
    Containers: {
      c1: {
        Name: "web",
        EndpointID: "e1",
        MacAddress: "02:42:ac:11:00:02",
        IPv4Address: "172.18.0.2/16",
        IPv6Address: "",
      },
    },
  });
});

test("predefined networks and those in use are not removed", async () => {
  const { service, endpoints, events } = setUp();
  await expect(service.remove("bridge")).rejects.toThrow(
    "bridge is a pre-defined network and cannot be removed",
  );
  await expect(service.remove("nope")).rejects.toThrow("network nope not found");
  const { Id } = await service.create({ Name: "back" });
  endpoints.set(Id, [endpoint]);
  const refusal = await service.remove("back").catch((error: unknown) => error);
  expect(refusal).toMatchObject({
    code: "forbidden",
    message: "error while removing network: network back has active endpoints",
  });
  endpoints.delete(Id);
  await service.remove("back");
  expect(events.at(-1)).toMatchObject({ action: "destroy", id: Id });
});

test("listing filters by name, type, driver, label and use", async () => {
  const { service, endpoints, names } = setUp();
  await service.create({ Name: "front", Labels: { tier: "1" } });
  const { Id } = await service.create({ Name: "back" });
  endpoints.set(Id, [endpoint]);
  expect(await names({})).toEqual(["bridge", "front", "back"]);
  expect(await names({ type: ["custom"] })).toEqual(["front", "back"]);
  expect(await names({ name: ["^b"] })).toEqual(["bridge", "back"]);
  expect(await names({ label: ["tier=1"] })).toEqual(["front"]);
  expect(await names({ dangling: ["true"] })).toEqual(["front"]);
  expect(await names({ driver: ["host"] })).toEqual([]);
  await expect(names({ type: ["odd"] })).rejects.toThrow("invalid filter");
});

test("prune removes what nobody uses", async () => {
  const { service, endpoints } = setUp();
  await service.create({ Name: "front" });
  const { Id } = await service.create({ Name: "back" });
  endpoints.set(Id, [endpoint]);
  expect(await service.prune({ until: ["2000-01-01"] })).toEqual({ NetworksDeleted: null });
  expect(await service.prune({})).toEqual({ NetworksDeleted: ["front"] });
});

test("connect and disconnect reach the container's side with the network resolved", async () => {
  const { service, calls } = setUp();
  await service.create({ Name: "back" });
  await service.connect("back", "web", undefined);
  await service.disconnect("back", "web", { force: false });
  expect(calls).toEqual(["connect back web", "disconnect back web"]);
});
