import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import type { Endpoint, PortPublication } from "./network.ts";
import {
  ask,
  askFrom,
  askNeighbour,
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
let bench: NetworkBench;
let one: FakeContainer;
let two: FakeContainer;
let first: Endpoint;
let second: Endpoint;

const tcp = (containerPort: number, hostPort?: number, hostIp = ""): PortPublication => ({
  protocol: "tcp",
  containerPort,
  hostIp,
  ...(hostPort === undefined ? {} : { hostPort }),
});

beforeAll(async () => {
  host = await TestHost.start();
  bench = new NetworkBench();
  await bench.service.restore(new Map());
  const dual = await bench.service.create(networkSpec("dual", { enableIPv6: true }));
  one = await bench.container("one");
  two = await bench.container("two");
  first = await bench.service.attach(await bench.service.allocate(endpointRequest(one, dual)), one);
  second = await bench.service.attach(await bench.service.allocate(endpointRequest(two, dual)), two);
  await serve(one, 80, "four");
  await serve(one, 80, "six", 6);
});
beforeEach(async () => {
  await bench.service.publish(first, []);
  await bench.service.publish(second, []);
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});

test("a neighbour reaches published ports in both families, and nothing else of a container", async () => {
  await bench.service.publish(first, [tcp(80, 8080)]);
  host.neighbour("ip", "route", "add", `${first.ipv4}/32`, "via", hostAddress);
  host.neighbour("ip", "-6", "route", "add", `${first.ipv6}/128`, "via", "2001:db8::2");
  expect(askNeighbour(host, hostAddress, 8080)).toBe("four from 192.0.2.7");
  expect(askNeighbour(host, "2001:db8::2", 8080)).toContain("six from [2001:0db8:");
  expect(askNeighbour(host, first.ipv4, 80, briefly)).toBe("");
  expect(askNeighbour(host, first.ipv6, 80, briefly)).toBe("");
});

test("the host reaches them on 127.0.0.1 and its own addresses; ::1 refuses at once, for localhost to fall back", async () => {
  await bench.service.publish(first, [tcp(80, 8080)]);
  expect(ask("127.0.0.1", 8080)).toBe(`four from ${first.ipv4Gateway}`);
  const refused = Bun.spawnSync(["socat", "-u", "TCP6:[::1]:8080", "-"], { stderr: "pipe" });
  expect(refused.stderr.toString()).toContain("Connection refused");
  expect(ask(hostAddress, 8080)).toContain("four");
  expect(ask("2001:db8::2", 8080)).toContain("six");
});

test("a port of 127.0.0.1 is for the host alone, even for a neighbour that forges the address", async () => {
  await bench.service.publish(first, [tcp(80, 8080, "127.0.0.1")]);
  expect(ask("127.0.0.1", 8080)).toContain("four");
  expect(ask(hostAddress, 8080, briefly)).toBe("");
  expect(askNeighbour(host, hostAddress, 8080, briefly)).toBe("");
  host.neighbour("ip", "route", "del", "local", "127.0.0.0/8", "table", "local");
  host.neighbour("ip", "route", "add", "127.0.0.1/32", "via", hostAddress, "src", "192.0.2.7");
  host.neighbour("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/lan0/route_localnet");
  expect(askNeighbour(host, "127.0.0.1", 8080, briefly)).toBe("");
});

test("containers reach them through the host's address, also their own and with IPv6", async () => {
  await bench.service.publish(first, [tcp(80, 8080)]);
  for (const from of [one, two]) {
    expect(askFrom(from, hostAddress, 8080)).toContain("four");
    expect(askFrom(from, "2001:db8::2", 8080)).toContain("six");
  }
});

test("a range is one interval, and ports of other numbers lead where they should", async () => {
  const range = Array.from({ length: 500 }, (_, i) => tcp(9000 + i, 9000 + i));
  await bench.service.publish(first, [...range, tcp(80, 8080)]);
  await serve(one, 9499, "last");
  expect(ask("127.0.0.1", 9499)).toContain("last");
  const table = Bun.spawnSync(["nft", "list", "table", "inet", bench.instance]).stdout.toString();
  expect(table).toContain("9000-9499");
  await bench.service.publish(first, [tcp(80, 8081)]);
  expect(ask("127.0.0.1", 9499, briefly)).toBe("");
  expect(ask("127.0.0.1", 8080, briefly)).toBe("");
  expect(ask("127.0.0.1", 8081)).toContain("four");
});

test("UDP flows follow the port to its next owner", async () => {
  const udp: PortPublication = { protocol: "udp", containerPort: 53, hostIp: "", hostPort: 5353 };
  const echo = (name: string) => ["socat", "-T5", "UDP4-RECVFROM:53,fork", `SYSTEM:echo ${name}`] as const;
  one.spawn(...echo("one"));
  two.spawn(...echo("two"));
  // One source port throughout, so that it is one flow for conntrack.
  const knock = () =>
    Bun.spawnSync([
      "sh",
      "-c",
      `echo x | socat -t0.3 -T0.3 - UDP4:${hostAddress}:5353,sourceport=40000,reuseaddr`,
    ])
      .stdout.toString()
      .trim();
  expect(knock()).toBe("");
  await bench.service.publish(first, [udp]);
  // Under load a datagram may be answered too late for its knock: the next one, which has the same port, hears both answers then.
  const answer = () => {
    for (let i = 0; i < 20; i++) {
      const lines = new Set(knock().split("\n"));
      if (!lines.has("")) return [...lines].join();
    }
    return "";
  };
  expect(answer()).toBe("one");
  await bench.service.publish(first, []);
  await bench.service.publish(second, [udp]);
  expect(answer()).toBe("two");
});

describe("a port that is taken", () => {
  test("by another container is refused with Docker's words", async () => {
    await bench.service.publish(first, [tcp(80, 8080)]);
    await expect(bench.service.publish(second, [tcp(80, 8080)])).rejects.toThrow(
      `driver failed programming external connectivity on endpoint two (${second.id}): Bind for 0.0.0.0:8080 failed: port is already allocated`,
    );
    await expect(bench.service.publish(second, [tcp(80, 8080, "127.0.0.1")])).rejects.toThrow(
      "Bind for 127.0.0.1:8080 failed: port is already allocated",
    );
    expect(ask("127.0.0.1", 8080)).toContain("four");
  });

  test("by a process of the host is refused with Docker's words", async () => {
    using _ = Bun.listen({ hostname: hostAddress, port: 8083, socket: { data: () => undefined } });
    await expect(bench.service.publish(first, [tcp(80, 8083)])).rejects.toThrow(
      "Error starting userland proxy: listen tcp4 0.0.0.0:8083: bind: address already in use",
    );
    await expect(bench.service.publish(first, [tcp(80, 8083, "192.0.2.99")])).rejects.toThrow(
      "listen tcp4 192.0.2.99:8083: bind: cannot assign requested address",
    );
    expect((await bench.service.publish(first, [tcp(80, 8083, "127.0.0.1")])).ports).toHaveLength(1);
  });

  test("by another daemon on this host is refused too", async () => {
    const table = "tug-00c0ffee";
    const nft = (text: string) => Bun.spawnSync(["nft", "-f", "-"], { stdin: Buffer.from(text) });
    nft(`table inet ${table} {
      map any4 { type inet_proto . inet_service : ipv4_addr . inet_service; elements = { tcp . 8085 : 10.0.0.2 . 80 }; }
      map publish4 { type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service
        elements = { udp . 192.0.2.2 . 8086 : 10.0.0.2 . 80 }; }
      map range6 { type inet_proto . ipv6_addr . inet_service : ipv6_addr; flags interval
        elements = { tcp . ::/0 . 8100-8199 : fd00::1 }; }
    }`);
    const refused = "port is already allocated";
    await expect(bench.service.publish(first, [tcp(80, 8085)])).rejects.toThrow(
      `Bind for 0.0.0.0:8085 failed: ${refused} (by another daemon, nftables table inet ${table})`,
    );
    await expect(bench.service.publish(first, [{ ...tcp(80, 8086), protocol: "udp" }])).rejects.toThrow(
      refused,
    );
    await expect(bench.service.publish(first, [tcp(80, 8150)])).rejects.toThrow(
      `Bind for :::8150 failed: ${refused}`,
    );
    expect((await bench.service.publish(first, [tcp(80, 8086), tcp(80, 8085, "::")])).ports).toHaveLength(3);
    nft(`delete table inet ${table}`);
  });

  test("is passed over in a range and among ephemeral ones", async () => {
    await bench.service.publish(first, [tcp(80, 8080)]);
    const range = await bench.service.publish(second, [{ ...tcp(80, 8080), hostPortEnd: 8082 }]);
    expect(range.ports.map((port) => port.hostPort)).toEqual([8081, 8081]);
    const ephemeral = await bench.service.publish(second, [tcp(80), tcp(81)]);
    const ports = new Set(ephemeral.ports.map((port) => port.hostPort));
    expect(ports.size).toBe(2);
    // What stays published keeps its number.
    const kept = await bench.service.publish(second, [tcp(80), tcp(81), tcp(82)]);
    expect(kept.ports.filter((port) => ports.has(port.hostPort))).toHaveLength(4);
  });
});

test("publications come back after somebody flushed the ruleset", async () => {
  await bench.service.publish(first, [tcp(80, 8080)]);
  Bun.spawnSync(["nft", "flush", "ruleset"]);
  expect(ask("127.0.0.1", 8080, briefly)).toBe("");
  await bench.service.publish(second, [tcp(80, 8089)]);
  expect(ask("127.0.0.1", 8080)).toContain("four");
});
