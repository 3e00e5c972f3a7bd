import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { shortId } from "../../../base/lib/ids.ts";
import { until } from "../../../base/lib/testdata/until.ts";
import type { Endpoint, Network } from "../network.ts";
import { query } from "../testdata/dns.ts";
import {
  endpointRequest,
  type FakeContainer,
  NetworkBench,
  neighbourAddress,
  networkSpec,
  TestHost,
} from "../testdata/sandboxes.ts";

let host: TestHost;
let bench: NetworkBench;
let front: Network;
let web: FakeContainer;
let db: FakeContainer;
let webEnd: Endpoint;
let dbEnd: Endpoint;
const dns = { servers: [neighbourAddress], options: [], search: [] };

const resolverPid = () =>
  Number(
    Bun.spawnSync(["sh", "-c", `ss -xlpH src ${bench.root}/resolver.sock`])
      .stdout.toString()
      .match(/pid=(\d+)/)?.[1] ?? 0,
  );
beforeAll(async () => {
  host = await TestHost.start();
  await host.serveNames(neighbourAddress, "198.51.100.7");
  bench = new NetworkBench();
  await bench.service.restore(new Map());
  front = await bench.service.create(networkSpec("front"));
  web = await bench.container("web");
  db = await bench.container("db");
  const attach = async (container: FakeContainer, aliases: readonly string[]) =>
    await bench.service.attach(
      await bench.service.allocate(
        endpointRequest(container, front, { aliases, dns, hostname: `${container.name}-host` }),
      ),
      container,
    );
  webEnd = await attach(web, ["Site", "all"]);
  dbEnd = await attach(db, ["all"]);
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});

describe("names of containers", () => {
  test("are answered by name, alias, short id and hostname, whatever the case, over UDP and TCP", () => {
    for (const name of ["web", "WEB", "site", "web.front", shortId(web.containerId), "web-host"]) {
      expect(query(db.pid, name)).toEqual({ code: "NOERROR", answers: [webEnd.ipv4], truncated: false });
    }
    expect(query(web.pid, "db", { stream: true }).answers).toEqual([dbEnd.ipv4]);
  });

  test("have no record of another type, which is not the same as not existing", () => {
    expect(query(db.pid, "web", { type: "AAAA" })).toEqual({
      code: "NOERROR",
      answers: [],
      truncated: false,
    });
    expect(query(db.pid, "web", { type: "MX" })).toEqual({ code: "NOERROR", answers: [], truncated: false });
  });

  test("shared by several containers come in turning order", () => {
    const firsts = new Set([query(db.pid, "all"), query(db.pid, "all")].map((result) => result.answers[0]));
    expect(firsts).toEqual(new Set([webEnd.ipv4, dbEnd.ipv4]));
  });

  test("are found from addresses", () => {
    const reverse = webEnd.ipv4.split(".").reverse().join(".");
    expect(query(db.pid, `${reverse}.in-addr.arpa`, { type: "PTR" }).answers).toEqual(["web.front"]);
  });
});

describe("other names", () => {
  test("go to the upstream server and come back as it answered", () => {
    expect(query(web.pid, "example.test").answers).toEqual(["198.51.100.7"]);
    expect(query(web.pid, "gone.test").code).toBe("NXDOMAIN");
    expect(query(web.pid, "refused.test").code).toBe("REFUSED");
  });

  test("with large answers are truncated over UDP and whole over TCP", () => {
    expect(query(web.pid, "big.test")).toMatchObject({ truncated: true, answers: [] });
    expect(query(web.pid, "big.test", { stream: true }).answers).toHaveLength(200);
  });

  test("stay unknown on an internal network", async () => {
    const inner = await bench.service.create(networkSpec("inner", { internal: true }));
    const lone = await bench.container("lone");
    await bench.service.attach(await bench.service.allocate(endpointRequest(lone, inner, { dns })), lone);
    expect(query(lone.pid, "example.test").code).toBe("SERVFAIL");
    expect(query(lone.pid, "web").code).toBe("SERVFAIL");
    expect(query(lone.pid, "lone").code).toBe("NOERROR");
  });

  test("are asked of a loopback server of the host when that is what the host uses", async () => {
    await host.serveNames("127.0.0.53", "198.51.100.53");
    const plain = await bench.container("plain");
    await bench.service.attach(await bench.service.allocate(endpointRequest(plain, front)), plain);
    expect(query(plain.pid, "example.test").answers).toEqual(["198.51.100.53"]);
    writeFileSync(join(bench.root, "resolv.conf"), `nameserver ${neighbourAddress}\n# changed\n`);
    expect(query(plain.pid, "example.test").answers).toEqual(["198.51.100.7"]);
  });
});

test("malformed packets are answered or ignored, and the resolver goes on", () => {
  for (const bytes of [
    "",
    "00",
    "0001".repeat(6),
    "4711010000010000000000003fff",
    `471101000001000000000000${"c00c".repeat(4)}00010001`,
  ]) {
    db.run("sh", "-c", `echo ${bytes} | xxd -r -p | socat -t0.05 -T0.05 - UDP4:127.0.0.11:53`);
  }
  expect(query(db.pid, "web").answers).toEqual([webEnd.ipv4]);
});

test("the resolver goes on without the daemon, is found again by the next, and notices a container's end", async () => {
  const pid = resolverPid();
  expect(pid).toBeGreaterThan(0);
  await bench.service.shutdown({ everything: false });
  expect(query(db.pid, "web").answers).toEqual([webEnd.ipv4]);
  const short = bench.containers.find((one) => one.name === "plain");
  await short?.kill();
  await until(() => {
    const { code, answers } = query(db.pid, "plain");
    return code !== "NOERROR" || answers[0] === "198.51.100.7";
  });
  bench.containers.splice(bench.containers.indexOf(short as FakeContainer), 1);
  bench.service = bench.open();
  await bench.service.restore(new Map(bench.containers.map((one) => [one.containerId, one])));
  expect(resolverPid()).toBe(pid);
  expect(query(db.pid, "web").answers).toEqual([webEnd.ipv4]);
});

test("a container that ends in the middle of a query leaves no namespace behind", async () => {
  const sockets = () => {
    const directory = `/proc/${resolverPid()}/fd`;
    return readdirSync(directory).filter((fd) => readlinkSync(join(directory, fd)).startsWith("socket:"))
      .length;
  };
  const without = sockets();
  const asking = await bench.container("asking");
  // Nobody answers at this address of the neighbour's network.
  const silent = { ...dns, servers: ["192.0.2.200"] };
  const endpoint = await bench.service.attach(
    await bench.service.allocate(endpointRequest(asking, front, { dns: silent })),
    asking,
  );
  expect(query(db.pid, "asking").answers).toEqual([endpoint.ipv4]);
  // On a machine that stands still meanwhile the resolver may have given up already: that query is not in its middle.
  await until(() => query(asking.pid, "slow.test", { patience: 100 }).code === "TIMEOUT");
  const bridge = `br-${front.id.slice(0, 12)}`;
  const pairs = () =>
    Bun.spawnSync(["ip", "-br", "link", "show", "type", "veth", "master", bridge])
      .stdout.toString()
      .split("\n").length;
  const before = pairs();
  await asking.kill();
  bench.containers.splice(bench.containers.indexOf(asking), 1);
  await until(() => query(db.pid, "asking").answers[0] !== endpoint.ipv4);
  // The resolver knows of the end, and has let go of everything there: the server had another second and a half to answer.
  expect(sockets()).toBe(without);
  await until(() => pairs() === before - 1);
  await bench.service.release(endpoint);
});

test("a resolver that is killed is back at once with all it knew", async () => {
  const pid = resolverPid();
  process.kill(pid, "SIGKILL");
  await until(() => resolverPid() !== pid && resolverPid() > 0);
  await until(() => query(db.pid, "web", { patience: 500 }).answers[0] === webEnd.ipv4);
});

test("it ends when its last container has gone and no daemon is left", async () => {
  const pid = resolverPid();
  await bench.service.shutdown({ everything: false });
  for (const container of bench.containers) await container.kill();
  await until(() => !existsSync(`/proc/${pid}`));
  bench.containers.length = 0;
  bench.service = bench.open();
  await bench.service.restore(new Map());
  expect(existsSync(join(bench.root, "resolver.sock"))).toBe(false);
});
