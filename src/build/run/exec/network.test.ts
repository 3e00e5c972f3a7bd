import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { listening, NetworkBench, TestHost } from "../../../core/network/testdata/sandboxes.ts";
import type { ExecMount } from "../../graph.ts";
import { ExecBench } from "./testdata/exec-bench.ts";

// A machine under load takes its time.
setDefaultTimeout(60_000);

let host: TestHost;
let networks: NetworkBench;
let bench: ExecBench;
beforeAll(async () => {
  host = await TestHost.start();
  networks = new NetworkBench();
  await networks.service.restore(new Map());
  bench = await ExecBench.open({ networks: networks.service });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await networks[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});

const online = { op: { network: "default" } } as const;
const endpoints = () => networks.service.endpoints(networks.service.resolve("bridge").id);

test("a step is on the default network with an address, a route and the gateway's name", async () => {
  const { stdout } = await bench.run(
    "ifconfig eth0; grep host.docker.internal /etc/hosts; cat /proc/net/route",
    online,
  );
  const [endpoint] = endpoints();
  expect(stdout).toContain(`inet addr:${endpoint?.ipv4}`);
  expect(stdout).toContain(`${endpoint?.ipv4Gateway}\thost.docker.internal`);
  expect(stdout).toMatch(/^eth0\t00000000\t/m);
});

test("with another router than the bridge a step still finds the host at the bridge", async () => {
  await using routed = new NetworkBench({ bip: "10.213.31.1/24", defaultGateway: "10.213.31.9" });
  await routed.service.restore(new Map());
  await using there = await ExecBench.open({ networks: routed.service });
  const { stdout } = await there.run("grep host.docker.internal /etc/hosts; cat /proc/net/route", online);
  expect(stdout).toContain("10.213.31.1\thost.docker.internal");
  expect(stdout).toMatch(/^eth0\t00000000\t091FD50A\t/m);
});

test("a step reaches the world behind the host", async () => {
  host.neighbourSpawn("socat", "TCP4-LISTEN:7777,reuseaddr,fork", "SYSTEM:echo hello");
  await listening((...command) => host.neighbour(...command), 7777);
  const { stdout } = await bench.run(
    "i=0; until nc -w 2 192.0.2.7 7777 2>/dev/null; do i=$((i+1)); [ $i -lt 50 ] || exit 1; sleep 0.1; done",
    online,
  );
  expect(stdout).toBe("hello\n");
});

test("the namespace of a step waits for the next one, and steps at the same time have one each", async () => {
  const address = "ifconfig eth0 | grep 'inet addr'; readlink /proc/self/ns/net";
  const first = await bench.run(address, online);
  expect((await bench.run(address, online)).stdout).toBe(first.stdout);
  const meeting: ExecMount = {
    ...{ kind: "cache", target: "/meet", id: "meet", sharing: "shared", from: undefined, source: "" },
    ...{ readonly: false, mode: 0o755, uid: 0, gid: 0 },
  };
  // Each waits for the other.
  const meet = (me: string, other: string) =>
    bench.run(`${address}; touch /meet/${me}; until [ -e /meet/${other} ]; do sleep 0.01; done`, {
      ...online,
      mounts: [meeting],
    });
  const [a, b] = await Promise.all([meet("a", "b"), meet("b", "a")]);
  expect(a.stdout).not.toBe(b.stdout);
  expect(endpoints().length).toBe(2);
});

test("one that a step could have changed is not used again", async () => {
  const look = {
    ...online,
    op: { ...online.op, security: "insecure" as const },
    entitlements: ["security.insecure"],
  };
  await bench.run("ifconfig eth0 down", look);
  for (let i = 0; i < 2; i++) expect((await bench.run("ifconfig eth0", online)).stdout).toContain(" UP ");
});

test("a network that is not there is told with the way out, and a failing step gives its namespace back", async () => {
  await using other = await ExecBench.open({
    networks: networks.service,
    overrides: { defaults: { ...bench.deps.defaults, network: "gone" } },
  });
  const error = await other.run("true", online).catch((one: unknown) => one);
  expect(String(error)).toContain("RUN needs the network gone, which this daemon does not have");
  await bench.run("true", online);
  const before = endpoints().length;
  await bench.run("false", online).catch(() => undefined);
  expect(endpoints().length).toBe(before);
});

test("closing the builder releases every address", async () => {
  await bench.run("true", online);
  expect(endpoints().length).toBeGreaterThan(0);
  await bench.runner[Symbol.asyncDispose]();
  expect(endpoints()).toEqual([]);
  expect(existsSync(bench.deps.root)).toBe(true);
});
