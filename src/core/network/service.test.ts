import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  ask,
  askFrom,
  endpointRequest,
  type FakeContainer,
  hostAddress,
  NetworkBench,
  networkSpec,
  serve,
  TestHost,
} from "./testdata/sandboxes.ts";

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.start();
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
});

describe("the default bridge", () => {
  let bench: NetworkBench;
  let one: FakeContainer;
  let two: FakeContainer;

  beforeAll(async () => {
    bench = new NetworkBench();
    await bench.service.restore(new Map());
    one = await bench.container("one");
    two = await bench.container("two");
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  test("containers get the lowest free addresses, reach each other and the gateway", async () => {
    const { service } = bench;
    const bridge = service.resolve("bridge");
    const first = await service.allocate(endpointRequest(one, bridge));
    const second = await service.allocate(endpointRequest(two, bridge));
    const subnet = bridge.ipam.config[0]?.gateway?.replace(/\.1$/, "");
    expect([first.ipv4, second.ipv4]).toEqual([`${subnet}.2`, `${subnet}.3`]);
    await service.attach(first, one);
    await service.attach(second, two);
    expect(one.run("/bin/busybox", "ping", "-c1", "-W1", second.ipv4)).toContain(" 0% packet loss");
    expect(one.run("/bin/busybox", "ping", "-c1", "-W1", first.ipv4Gateway)).toContain(" 0% packet loss");
    expect(one.run("ip", "route")).toContain(`default via ${first.ipv4Gateway} dev eth0`);
    expect(one.run("ip", "link")).toContain(first.mac);
    expect(one.run("ip", "-6", "addr", "show", "eth0")).toBe("");
  });

  test("a published port answers on loopback, on the host's address, and to the containers themselves", async () => {
    const { service } = bench;
    const endpoint = service.endpoints(service.resolve("bridge").id)[0];
    if (!endpoint) throw new Error("no endpoint");
    await serve(one, 80, "hello");
    const port = { protocol: "tcp", containerPort: 80, hostIp: "" } as const;
    const published = await service.publish(endpoint, [port]);
    const hostPort = published.ports[0]?.hostPort ?? 0;
    expect(hostPort).toBeGreaterThanOrEqual(32768);
    expect(ask("127.0.0.1", hostPort)).toBe(`hello from ${endpoint.ipv4Gateway}`);
    expect(ask(hostAddress, hostPort)).toContain("hello");
    expect(ask(endpoint.ipv4, 80)).toContain("hello");
    expect(askFrom(one, hostAddress, hostPort)).toContain("hello");
    expect(askFrom(two, hostAddress, hostPort)).toContain("hello");
    expect(askFrom(two, endpoint.ipv4Gateway, hostPort)).toContain("hello");
    await service.publish(endpoint, []);
    expect(ask("127.0.0.1", hostPort)).toBe("");
  });

  test("detaching takes the veth away and gives the address back on release", async () => {
    const { service } = bench;
    const bridge = service.resolve("bridge");
    for (const endpoint of service.endpoints(bridge.id)) {
      await service.detach(endpoint);
      await service.release(endpoint);
    }
    expect(one.run("ip", "-br", "link")).not.toContain("eth0");
    expect(service.endpoints(bridge.id)).toEqual([]);
    expect((await service.allocate(endpointRequest(one, bridge))).ipv4).toEndWith(".2");
    await bench.service.remove(service.resolve("bridge").id).catch((error) => {
      expect(error.message).toBe("bridge is a pre-defined network and cannot be removed");
    });
  });
});

test("networks do not reach each other, and leave nothing behind", async () => {
  const bench = new NetworkBench();
  {
    await using _ = bench;
    const { service } = bench;
    await service.restore(new Map());
    const a = await service.create(networkSpec("a"));
    const b = await service.create(networkSpec("b"));
    const one = await bench.container("one");
    const two = await bench.container("two");
    const first = await service.attach(await service.allocate(endpointRequest(one, a)), one);
    const port = { protocol: "tcp", containerPort: 80, hostIp: "", hostPort: 18080 } as const;
    const second = await service.attach(
      await service.allocate(endpointRequest(two, b, { ports: [port] })),
      two,
    );
    await serve(two, 80, "b");
    expect(ask(second.ipv4, 80)).toContain("b from");
    expect(askFrom(one, second.ipv4, 80)).toBe("");
    expect(askFrom(one, first.ipv4Gateway, 18080)).toContain("b from");
    await bench.restart();
    expect(ask("127.0.0.1", 18080)).toContain("b from");
  }
  expect(Bun.spawnSync(["nft", "list", "tables"]).stdout.toString()).not.toContain(bench.instance);
  expect(Bun.spawnSync(["ip", "-br", "link"]).stdout.toString()).not.toContain(bench.config.defaultBridge);
});
