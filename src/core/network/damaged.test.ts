import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDatabase } from "../../base/store/database.ts";
import type { Network } from "./network.ts";
import {
  ask,
  askFrom,
  askNeighbour,
  briefly,
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

beforeAll(async () => {
  host = await TestHost.start();
  bench = new NetworkBench();
  await bench.service.restore(new Map());
  host.neighbourSpawn("socat", "TCP4-LISTEN:7000,fork,reuseaddr", "SYSTEM:echo seen $SOCAT_PEERADDR");
  await listening((...command) => host.neighbour(...command), 7000);
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});

/** The daemon starts again and cannot read the network's record; returns how it starts once more with the record put right. */
async function damage(network: Network): Promise<() => Promise<void>> {
  using database = openDatabase(join(bench.root, "network.db"), { durable: false });
  const row = database
    .query<{ record: string }, [string]>("SELECT record FROM network WHERE id = ?")
    .get(network.id);
  const before = row?.record ?? "";
  const restart = async (record: string) => {
    using again = openDatabase(join(bench.root, "network.db"), { durable: false });
    again.query("UPDATE network SET record = ? WHERE id = ?").run(record, network.id);
    await bench.restart();
  };
  await restart(before.slice(0, 30));
  expect(() => bench.service.resolve(network.id)).toThrow("not found");
  return () => restart(before);
}

test("containers of a network whose record cannot be read are reached by nobody new, and reach nobody, until it is put right", async () => {
  const lost = await bench.service.create(networkSpec("lost"));
  const well = await bench.service.create(networkSpec("well"));
  const server = await bench.container("server");
  const client = await bench.container("client");
  const port = { protocol: "tcp", containerPort: 80, hostIp: "", hostPort: 18200 } as const;
  const endpoint = await bench.plug(server, lost, { ports: [port] });
  await bench.plug(client, well);
  await serve(server, 80, "server");
  host.neighbour("ip", "route", "replace", `${endpoint.ipv4}/32`, "via", hostAddress);
  const apart = () => {
    expect(ask(endpoint.ipv4, 80)).toContain("server from");
    expect(askFrom(client, endpoint.ipv4, 80, briefly)).toBe("");
    expect(askNeighbour(host, endpoint.ipv4, 80, briefly)).toBe("");
    expect(askFrom(client, neighbourAddress, 7000)).toBe(`seen ${hostAddress}`);
  };
  const whole = () => {
    apart();
    expect(askFrom(server, neighbourAddress, 7000)).toBe(`seen ${hostAddress}`);
    expect(askNeighbour(host, hostAddress, 18200)).toContain("server from");
  };
  whole();
  const putRight = await damage(lost);
  const cutOff = () => {
    apart();
    expect(askFrom(server, neighbourAddress, 7000, briefly)).toBe("");
    expect(askNeighbour(host, hostAddress, 18200, briefly)).toBe("");
  };
  cutOff();
  // A network that comes and goes writes the rules anew, and so does the next daemon.
  await bench.service.remove((await bench.service.create(networkSpec("passing"))).id);
  cutOff();
  await bench.restart();
  cutOff();
  await expect(
    bench.service.create(
      networkSpec("taker", { options: { "com.docker.network.bridge.name": `br-${lost.id.slice(0, 12)}` } }),
    ),
  ).rejects.toThrow("conflicts with network lost");
  await putRight();
  whole();
});

for (const filtered of ["0", "1"]) {
  test(`a network that keeps containers from each other or from the outside does so while its record cannot be read (br_netfilter ${filtered})`, async () => {
    writeFileSync("/proc/sys/net/bridge/bridge-nf-call-iptables", filtered);
    const cave = await bench.service.create(
      networkSpec(`cave${filtered}`, {
        internal: true,
        options: { "com.docker.network.bridge.enable_icc": "false" },
      }),
    );
    const one = await bench.container("one");
    const two = await bench.container("two");
    const first = await bench.plug(one, cave);
    await bench.plug(two, cave);
    await serve(one, 80, "inner");
    two.run("ip", "route", "add", "default", "via", first.ipv4Gateway);
    // Answers would find their way without masquerading, too.
    host.neighbour("ip", "route", "replace", "172.16.0.0/12", "via", hostAddress);
    const apart = () => {
      expect(ask(first.ipv4, 80)).toContain("inner");
      expect(askFrom(two, first.ipv4, 80, briefly)).toBe("");
      expect(askFrom(two, neighbourAddress, 7000, briefly)).toBe("");
    };
    apart();
    const putRight = await damage(cave);
    apart();
    await putRight();
    apart();
  });
}

test("the subnet of a network whose record cannot be read stays its own, also without its bridge", async () => {
  const pool = { ipam: { driver: "default", options: {}, config: [{ subnet: "10.99.7.0/24" }] } };
  const gone = await bench.service.create(networkSpec("gone", pool));
  const tenant = await bench.container("tenant");
  await bench.plug(tenant, gone);
  const putRight = await damage(gone);
  Bun.spawnSync(["ip", "link", "del", `br-${gone.id.slice(0, 12)}`]);
  await expect(bench.service.create(networkSpec("heir", pool))).rejects.toThrow("overlaps");
  await putRight();
  expect(bench.service.endpoints(gone.id)).toHaveLength(1);
});

test("an administrator's bridge goes on for others while the record of the network on it cannot be read", async () => {
  const ip = (command: string) => {
    const result = Bun.spawnSync(["ip", ...command.split(" ")], { stderr: "pipe" });
    if (!result.success) throw new Error(`ip ${command}: ${result.stderr.toString()}`);
  };
  ip("link add adm0 type bridge");
  ip("addr add 198.51.100.1/24 dev adm0");
  ip("link set adm0 up");
  const member = await bench.container("member");
  ip(`link add adm1 type veth peer name lan0 netns ${member.pid}`);
  ip("link set adm1 master adm0 up");
  for (const command of [
    "link set lan0 up",
    "addr add 198.51.100.9/24 dev lan0",
    "route add default via 198.51.100.1",
  ])
    expect(member.run("ip", ...command.split(" "))).toBe("");
  host.neighbour("ip", "route", "replace", "198.51.100.0/24", "via", hostAddress);
  const network = await bench.service.create(
    networkSpec("adopted", { options: { "com.docker.network.bridge.name": "adm0" } }),
  );
  const guest = await bench.container("guest");
  const endpoint = await bench.plug(guest, network, { ipv4: "198.51.100.50" });
  await serve(guest, 80, "guest");
  expect(askFrom(member, neighbourAddress, 7000)).toContain("seen");
  expect(askFrom(guest, neighbourAddress, 7000)).toContain("seen");
  const putRight = await damage(network);
  expect(askFrom(member, neighbourAddress, 7000)).toContain("seen");
  expect(askFrom(guest, neighbourAddress, 7000, briefly)).toBe("");
  expect(askNeighbour(host, endpoint.ipv4, 80, briefly)).toBe("");
  await putRight();
  expect(askFrom(guest, neighbourAddress, 7000)).toContain("seen");
});
