import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  ask,
  askFrom,
  briefly,
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
    expect(one.run("/bin/busybox", "ping", "-c1", "-W10", second.ipv4)).toContain(" 0% packet loss");
    expect(one.run("/bin/busybox", "ping", "-c1", "-W10", first.ipv4Gateway)).toContain(" 0% packet loss");
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
    expect(ask("127.0.0.1", hostPort, briefly)).toBe("");
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
    expect(askFrom(one, second.ipv4, 80, briefly)).toBe("");
    expect(askFrom(one, first.ipv4Gateway, 18080)).toContain("b from");
    await bench.restart();
    expect(ask("127.0.0.1", 18080)).toContain("b from");
  }
  expect(Bun.spawnSync(["nft", "list", "tables"]).stdout.toString()).not.toContain(bench.instance);
  expect(Bun.spawnSync(["ip", "-br", "link"]).stdout.toString()).not.toContain(bench.config.defaultBridge);
});

describe("networks that cannot be", () => {
  let bench: NetworkBench;
  beforeAll(async () => {
    bench = new NetworkBench();
    await bench.service.restore(new Map());
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });
  const pool = (subnet: string) => ({ ipam: { driver: "default", options: {}, config: [{ subnet }] } });

  test("are refused in Docker's words", async () => {
    const { service } = bench;
    await service.create(networkSpec("taken", pool("10.201.0.0/24")));
    const refused: readonly (readonly [Parameters<typeof networkSpec>, string])[] = [
      [["taken"], "network with name taken already exists"],
      [["x", { driver: "nothing" }], 'plugin "nothing" not found'],
      [["x", { driver: "host" }], 'only one instance of "host" network is allowed'],
      [["x", { driver: "null" }], 'only one instance of "null" network is allowed'],
      [["x", pool("10.201.0.128/25")], "Pool overlaps with other one on this address space"],
      [["x", pool("192.0.2.0/24")], "the host's address on lan0"],
      [["x", pool("10.201.9.9/24")], "invalid subnet 10.201.9.9/24: it should be 10.201.9.0/24"],
      [["x", { options: { "com.docker.network.driver.mtu": "many" } }], "com.docker.network.driver.mtu"],
      [
        ["x", { options: { "com.docker.network.bridge.name": "much-too-long-a-name" } }],
        "invalid bridge name",
      ],
      [
        ["x", { options: { "com.docker.network.bridge.name": "lan0" } }],
        "existing interface lan0 is not a bridge",
      ],
      [["x", { options: { "com.docker.network.bridge.name": 'a"b' } }], "invalid bridge name"],
      [["x", { enableIPv4: false }], "IPv4 or IPv6 must be enabled"],
      [["x", { driver: "macvlan", options: { parent: "nope" } }], "invalid subinterface vlan name nope"],
      [
        ["x", { driver: "macvlan", options: { macvlan_mode: "odd" } }],
        "requested macvlan mode 'odd' is not valid",
      ],
    ];
    for (const [spec, text] of refused)
      await expect(service.create(networkSpec(...spec))).rejects.toThrow(text);
    expect(Bun.spawnSync(["ip", "-br", "addr", "show", "lan0"]).stdout.toString()).toContain("192.0.2.2");
    expect(service.list().map((network) => network.name)).toEqual(["host", "none", "bridge", "taken"]);
  });

  test("leave a clear word where the kernel lacks macvlan and ipvlan, and work where it has them", async () => {
    for (const driver of ["macvlan", "ipvlan"]) {
      const container = await bench.container(driver);
      try {
        const network = await bench.service.create(
          networkSpec(driver, { driver, options: { parent: "lan0" } }),
        );
        const endpoint = await bench.service.allocate(endpointRequest(container, network));
        await bench.service.attach(endpoint, container);
        expect(container.run("ip", "-br", "addr")).toContain(endpoint.ipv4);
        await bench.service.release(endpoint);
        expect(container.run("ip", "-br", "addr")).not.toContain(endpoint.ipv4);
      } catch (error) {
        expect(error).toMatchObject({
          code: "not-implemented",
          message: `this kernel has no ${driver} interfaces`,
        });
        expect(container.run("ip", "-br", "link")).not.toContain("eth0");
      }
    }
  });

  test("addresses on the predefined bridge are not chosen by users", async () => {
    const container = await bench.container("chooser");
    const bridge = bench.service.resolve("bridge");
    await expect(
      bench.service.allocate(endpointRequest(container, bridge, { ipv4: "172.17.0.9" })),
    ).rejects.toThrow("user specified IP address is supported on user defined networks only");
    const taken = bench.service.resolve("taken");
    const endpoint = await bench.service.allocate(endpointRequest(container, taken, { ipv4: "10.201.0.77" }));
    expect([endpoint.ipv4, endpoint.mac]).toEqual(["10.201.0.77", "02:42:0a:c9:00:4d"]);
    const other = await bench.container("other");
    await expect(
      bench.service.allocate(endpointRequest(other, taken, { ipv4: "10.201.0.77" })),
    ).rejects.toThrow("Address already in use");
  });
});

test("--bip, --fixed-cidr and IPv6 shape the default bridge; it keeps its id and subnet over restarts", async () => {
  await using bench = new NetworkBench({ bip: "10.201.8.1/24", fixedCidr: "10.201.8.128/25", ipv6: true });
  await bench.service.restore(new Map());
  const before = bench.service.resolve("bridge");
  expect(before.ipam.config[0]).toEqual({
    subnet: "10.201.8.0/24",
    ipRange: "10.201.8.128/25",
    gateway: "10.201.8.1",
  });
  const container = await bench.container("one");
  const endpoint = await bench.service.allocate(endpointRequest(container, before));
  expect(endpoint.ipv4).toBe("10.201.8.128");
  expect(endpoint.ipv6).toMatch(/^fd.*::2$/);
  await bench.restart();
  const after = bench.service.resolve("bridge");
  expect([after.id, after.ipam]).toEqual([before.id, before.ipam]);
});

test("daemons side by side take different subnets, and one bridge of the administrator's is left as it is", async () => {
  await using first = new NetworkBench();
  await using second = new NetworkBench();
  await first.service.restore(new Map());
  await second.service.restore(new Map());
  const subnet = (bench: NetworkBench) => bench.service.resolve("bridge").ipam.config[0]?.subnet;
  expect(subnet(first)).not.toBe(subnet(second));
  const ip = (command: string) => Bun.spawnSync(["ip", ...command.split(" ")]).stdout.toString();
  ip("link add admin0 type bridge");
  ip("addr add 10.201.20.1/24 dev admin0");
  {
    await using third = new NetworkBench({ bridge: "admin0" });
    await third.service.restore(new Map());
    expect(third.service.resolve("bridge").ipam.config[0]).toEqual({
      subnet: "10.201.20.0/24",
      gateway: "10.201.20.1",
    });
  }
  expect(ip("-br addr show admin0")).toContain("10.201.20.1/24");
  {
    await using fourth = new NetworkBench();
    await fourth.service.restore(new Map());
    const options = { "com.docker.network.bridge.name": "admin0" };
    const network = await fourth.service.create(networkSpec("adopted", { options }));
    expect(network.ipam.config[0]).toEqual({ subnet: "10.201.20.0/24", gateway: "10.201.20.1" });
    await fourth.service.remove(network.id);
    expect(ip("-br addr show admin0")).toContain("10.201.20.1/24");
    await fourth.service.create(networkSpec("adopted", { options }));
  }
  expect(ip("-br addr show admin0")).toContain("10.201.20.1/24");
  ip("link del admin0");
  await using none = new NetworkBench({ bridge: "none" });
  await none.service.restore(new Map());
  expect(() => none.service.resolve("bridge")).toThrow("network bridge not found");
});

test("--default-gateway is the containers' router, in either family, and not the bridge's address", async () => {
  await using bench = new NetworkBench({
    bip: "10.213.7.1/24",
    defaultGateway: "10.213.7.2",
    ipv6: true,
    fixedCidrV6: "fd00:213:7::/64",
    defaultGatewayV6: "fd00:213:7::99",
  });
  const { service } = bench;
  await service.restore(new Map());
  const bridge = service.resolve("bridge");
  expect(bridge.ipam.config).toEqual([
    {
      subnet: "10.213.7.0/24",
      gateway: "10.213.7.1",
      auxAddresses: { DefaultGatewayIPv4: "10.213.7.2" },
    },
    {
      subnet: "fd00:213:7::/64",
      gateway: "fd00:213:7::1",
      auxAddresses: { DefaultGatewayIPv6: "fd00:213:7::99" },
    },
  ]);
  const one = await bench.container("one");
  const endpoint = await service.attach(await service.allocate(endpointRequest(one, bridge)), one);
  expect([endpoint.ipv4, endpoint.ipv4Gateway, endpoint.ipv6Gateway]).toEqual([
    "10.213.7.3",
    "10.213.7.2",
    "fd00:213:7::99",
  ]);
  expect(one.run("ip", "route")).toContain("default via 10.213.7.2");
  expect(one.run("ip", "-6", "route")).toContain("default via fd00:213:7::99");
  const link = Bun.spawnSync(["ip", "-o", "addr", "show", bench.config.defaultBridge ?? ""]);
  expect(link.stdout.toString()).toContain("inet 10.213.7.1/24");
  expect(link.stdout.toString()).toContain("inet6 fd00:213:7::1/64");
  await service.detach(endpoint);
  await service.release(endpoint);
});

test("a --default-gateway outside of the bridge's subnet is refused in Docker's words", async () => {
  const bench = new NetworkBench({ bip: "10.213.8.1/24", defaultGateway: "10.9.9.9" });
  await expect(bench.service.restore(new Map())).rejects.toThrow(
    "auxiliary address: (DefaultGatewayIPv4:10.9.9.9) must belong to the master pool: 10.213.8.0/24",
  );
  await bench[Symbol.asyncDispose]();
});
