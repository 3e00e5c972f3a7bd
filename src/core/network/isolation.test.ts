import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import {
  ask,
  askFrom,
  askNeighbour,
  briefly,
  endpointRequest,
  type FakeContainer,
  hostAddress,
  listening,
  NetworkBench,
  neighbourAddress,
  networkSpec,
  serve,
  TestHost,
} from "./testdata/sandboxes.ts";

let host: TestHost;
let bench: NetworkBench;

const defaultRoute = (container: FakeContainer) =>
  /default via (\S+) dev (\S+)/.exec(container.run("ip", "route"));

beforeAll(async () => {
  host = await TestHost.start();
  bench = new NetworkBench();
  await bench.service.restore(new Map());
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});

test("containers reach the outside with the host's address", async () => {
  const network = await bench.service.create(networkSpec("out"));
  const container = await bench.container("client");
  await bench.plug(container, network);
  host.neighbourSpawn("socat", "TCP4-LISTEN:7000,fork,reuseaddr", "SYSTEM:echo seen $SOCAT_PEERADDR");
  await listening((...command) => host.neighbour(...command), 7000);
  expect(askFrom(container, neighbourAddress, 7000)).toBe("seen 192.0.2.2");
});

test("an internal network has no way out, no default route, and no published ports", async () => {
  const network = await bench.service.create(networkSpec("cave", { internal: true }));
  const one = await bench.container("one");
  const two = await bench.container("two");
  const port = { protocol: "tcp", containerPort: 80, hostIp: "", hostPort: 18090 } as const;
  const first = await bench.plug(one, network, { ports: [port] });
  await bench.plug(two, network);
  await serve(one, 80, "inner");
  expect(first.ports).toEqual([]);
  expect(askFrom(two, first.ipv4, 80)).toContain("inner");
  expect(defaultRoute(two)).toBeNull();
  two.run("ip", "route", "add", "default", "via", first.ipv4Gateway);
  expect(askFrom(two, neighbourAddress, 7000, briefly)).toBe("");
  expect(ask("127.0.0.1", 18090, briefly)).toBe("");
});

for (const filtered of ["0", "1"]) {
  test(`icc=false keeps containers apart, except by published ports (br_netfilter ${filtered})`, async () => {
    // By this thread: it alone lives on the host of the test.
    writeFileSync("/proc/sys/net/bridge/bridge-nf-call-iptables", filtered);
    const network = await bench.service.create(
      networkSpec(`apart${filtered}`, { options: { "com.docker.network.bridge.enable_icc": "false" } }),
    );
    const one = await bench.container("one");
    const two = await bench.container("two");
    const hostPort = 18091 + Number(filtered);
    const first = await bench.plug(one, network, {
      ports: [{ protocol: "tcp", containerPort: 80, hostIp: "", hostPort }],
    });
    await bench.plug(two, network);
    await serve(one, 80, "apart");
    expect(askFrom(two, first.ipv4, 80, briefly)).toBe("");
    expect(ask(first.ipv4, 80)).toContain("apart");
    expect(askFrom(two, first.ipv4Gateway, hostPort)).toContain("apart");
    expect(askFrom(one, first.ipv4Gateway, hostPort)).toContain("apart");
  });
}

test("a running container joins and leaves networks; its default route follows priority", async () => {
  const a = await bench.service.create(networkSpec("alpha"));
  const z = await bench.service.create(networkSpec("zeta"));
  const container = await bench.container("roamer");
  const zEnd = await bench.plug(container, z);
  expect(defaultRoute(container)?.slice(1)).toEqual([zEnd.ipv4Gateway, "eth0"]);
  const aEnd = await bench.plug(container, a);
  expect(defaultRoute(container)?.slice(1)).toEqual([aEnd.ipv4Gateway, "eth1"]);
  await bench.service.release(aEnd);
  expect(container.run("ip", "-br", "link")).not.toContain("eth1");
  expect(defaultRoute(container)?.slice(1)).toEqual([zEnd.ipv4Gateway, "eth0"]);
  const again = await bench.plug(container, a, { gatewayPriority: -1 });
  expect(defaultRoute(container)?.slice(1)).toEqual([zEnd.ipv4Gateway, "eth0"]);
  await expect(bench.plug(container, a)).rejects.toThrow(
    "endpoint with name roamer already exists in network alpha",
  );
  await expect(bench.service.remove(a.id)).rejects.toThrow("network alpha has active endpoints");
  await bench.service.release(again);
  await bench.service.remove(a.id);
  expect(() => bench.service.resolve("alpha")).toThrow("network alpha not found");
});

test("an address that is used again is reachable at once, although the old namespace still winds down", async () => {
  const network = await bench.service.create(networkSpec("reuse"));
  const old = await bench.container("old");
  const before = await bench.plug(old, network);
  await serve(old, 80, "old");
  expect(ask(before.ipv4, 80)).toContain("old");
  await old.kill();
  await bench.service.release(before);
  const next = await bench.container("next");
  const after = await bench.plug(next, network);
  expect(after.ipv4).toBe(before.ipv4);
  await serve(next, 80, "next");
  expect(ask(after.ipv4, 80)).toContain("next");
});

test("an interface goes although its namespace is kept by somebody else", async () => {
  const network = await bench.service.create(networkSpec("shared"));
  const owner = await bench.container("owner");
  const endpoint = await bench.plug(owner, network);
  const guest = Bun.spawn(["nsenter", "-t", String(owner.pid), "-n", "sh", "-c", "echo in; exec sleep 60"], {
    stdout: "pipe",
    stderr: "ignore",
  });
  await guest.stdout.getReader().read();
  await owner.kill();
  await bench.service.release(endpoint);
  const pairs = () =>
    Bun.spawnSync([
      "ip",
      "-br",
      "link",
      "show",
      "type",
      "veth",
      "master",
      `br-${network.id.slice(0, 12)}`,
    ]).stdout.toString();
  expect(pairs()).not.toBe("");
  await bench.service.remove(network.id);
  expect(
    Bun.spawnSync(["nsenter", "-t", String(guest.pid), "-n", "ip", "-br", "link"]).stdout.toString(),
  ).not.toContain("eth0");
  guest.kill("SIGKILL");
  await guest.exited;
});

test("what the daemon's death interrupted is put right by the next one", async () => {
  const network = await bench.service.create(networkSpec("reborn"));
  const alive = await bench.container("alive");
  const dead = await bench.container("dead");
  const port = (hostPort: number) => ({ protocol: "tcp", containerPort: 80, hostIp: "", hostPort }) as const;
  const kept = await bench.plug(alive, network, { ports: [port(18100)] });
  const lost = await bench.plug(dead, network, { ports: [port(18101)] });
  await serve(alive, 80, "alive");
  await dead.kill();
  bench.containers.splice(bench.containers.indexOf(dead), 1);
  Bun.spawnSync(["nft", "delete", "table", "inet", bench.instance]);
  Bun.spawnSync(["ip", "link", "del", `br-${network.id.slice(0, 12)}`]);
  await bench.restart();
  expect(ask("127.0.0.1", 18100)).toContain("alive");
  const endpoints = bench.service.endpoints(network.id);
  expect(endpoints.map((one) => [one.id, one.attached])).toEqual([
    [kept.id, true],
    [lost.id, false],
  ]);
  await bench.restart();
  expect(ask("127.0.0.1", 18100)).toContain("alive");
});

test("a neighbour that routes to containers reaches nothing, and with direct routing what is published", async () => {
  const address = { protocol: "tcp", containerPort: 80, hostIp: "" } as const;
  for (const direct of [false, true]) {
    await using own = new NetworkBench({ directRouting: direct });
    await own.service.restore(new Map());
    const network = await own.service.create(networkSpec("direct"));
    const web = await own.container("web");
    const hostPort = direct ? 18111 : 18110;
    const endpoint = await own.service.attach(
      await own.service.allocate(endpointRequest(web, network, { ports: [{ ...address, hostPort }] })),
      web,
    );
    await serve(web, 80, "direct");
    await serve(web, 81, "unpublished");
    host.neighbour("ip", "route", "replace", `${endpoint.ipv4}/32`, "via", hostAddress);
    const reached = (to: string, port: number) =>
      expect(askNeighbour(host, to, port)).toContain("direct from");
    const closed = (to: string, port: number) => expect(askNeighbour(host, to, port, briefly)).toBe("");
    const routed = direct ? reached : closed;
    reached(hostAddress, hostPort);
    routed(endpoint.ipv4, 80);
    closed(endpoint.ipv4, 81);
    // The same after the table was written anew, and nothing once it is no longer published.
    await own.restart();
    routed(endpoint.ipv4, 80);
    const [now] = own.service.endpoints(network.id);
    if (now) await own.service.publish(now, []);
    closed(endpoint.ipv4, 80);
    host.neighbour("ip", "route", "del", `${endpoint.ipv4}/32`);
  }
});

test("a process on the host's own network is never plumbed", async () => {
  const network = await bench.service.create(networkSpec("wrong"));
  const container = await bench.container("wrong");
  const endpoint = await bench.service.allocate(endpointRequest(container, network));
  const wrong = { containerId: container.containerId, pid: process.pid };
  await expect(bench.service.attach(endpoint, wrong)).rejects.toThrow("has no network namespace of its own");
  expect(Bun.spawnSync(["ip", "-br", "link"]).stdout.toString()).not.toMatch(/^eth0/m);
});

test("a container that is gone before its network is set up leaves nothing", async () => {
  const network = await bench.service.create(networkSpec("ghost"));
  const container = await bench.container("ghost");
  const endpoint = await bench.service.allocate(endpointRequest(container, network));
  const links = () =>
    Bun.spawnSync(["ip", "-br", "link"])
      .stdout.toString()
      .split("\n")
      .map((line) => line.split(/[\s@]/)[0]);
  await container.kill();
  const before = links();
  await expect(bench.service.attach(endpoint, container)).rejects.toThrow(
    "ended before its network was set up",
  );
  // Those of containers that were killed before may go meanwhile: the kernel takes its time with their namespaces.
  expect(links().filter((name) => !before.includes(name))).toEqual([]);
  await bench.service.release(endpoint);
  await bench.service.release(endpoint);
  await bench.service.remove(network.id);
});
