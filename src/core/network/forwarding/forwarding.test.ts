import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { until } from "../../../base/lib/testdata/until.ts";
import type { Endpoint } from "../network.ts";
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
} from "../testdata/sandboxes.ts";

/** Containers of one daemon on a host whose own firewall drops forwarded packets. */
let host: TestHost;
let bench: NetworkBench;
let web: FakeContainer;
let client: FakeContainer;
let stranger: FakeContainer;
let endpoint: Endpoint;

function sh(command: string): string {
  const result = Bun.spawnSync(["sh", "-ec", command], { stderr: "pipe" });
  if (!result.success) throw new Error(`${command}: ${result.stderr.toString()}`);
  return result.stdout.toString();
}

/** `web` publishes 8080, `client` is beside it, `stranger` on another network. br_netfilter asks firewalls about bridged frames too. */
beforeAll(async () => {
  host = await TestHost.start();
  host.neighbourSpawn("socat", "TCP4-LISTEN:7000,fork,reuseaddr", "SYSTEM:echo outside");
  host.neighbourSpawn("socat", "TCP6-LISTEN:7000,fork,reuseaddr,ipv6-v6only", "SYSTEM:echo outside6");
  for (const family of [4, 6] as const)
    await listening((...command) => host.neighbour(...command), 7000, family);
  sh("for name in iptables ip6tables; do echo 1 >/proc/sys/net/bridge/bridge-nf-call-$name; done");
  bench = new NetworkBench();
  await bench.service.restore(new Map());
  const app = await bench.service.create(networkSpec("app", { enableIPv6: true }));
  const other = await bench.service.create(networkSpec("other", { enableIPv6: true }));
  web = await bench.container("web");
  client = await bench.container("client");
  stranger = await bench.container("stranger");
  const plug = async (container: FakeContainer, network: typeof app, more = {}) =>
    await bench.service.attach(
      await bench.service.allocate(endpointRequest(container, network, more)),
      container,
    );
  const ports = [{ protocol: "tcp", containerPort: 80, hostIp: "", hostPort: 8080 }] as const;
  endpoint = await plug(web, app, { ports });
  await plug(client, app);
  await plug(stranger, other);
  await serve(web, 80, "web");
  await serve(web, 80, "web6", 6);
});
afterEach(() => {
  sh("ip link del docker0 2>/dev/null || :");
  sh(
    "nft flush ruleset; for name in iptables ip6tables; do $name-legacy -P FORWARD ACCEPT; $name-legacy -F; done",
  );
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});

async function restart(iptables = true): Promise<void> {
  Object.assign(bench.config, { iptables });
  await bench.restart();
}

function expectWorking(): void {
  expect(askFrom(client, neighbourAddress, 7000)).toBe("outside");
  expect(askFrom(client, "2001:db8::7", 7000)).toBe("outside6");
  expect(askFrom(client, endpoint.ipv4, 80)).toContain("web");
  expect(askNeighbour(host, hostAddress, 8080)).toContain("web");
  expect(askNeighbour(host, "2001:db8::2", 8080)).toContain("web6");
  expect(ask("127.0.0.1", 8080)).toContain("web");
  expect(askFrom(web, hostAddress, 8080)).toContain("web");
  expect(askFrom(stranger, hostAddress, 8080)).toContain("web");
  // What this daemon keeps closed stays closed.
  expect(askFrom(stranger, endpoint.ipv4, 80, briefly)).toBe("");
  host.neighbour("ip", "route", "replace", `${endpoint.ipv4}/32`, "via", hostAddress);
  expect(askNeighbour(host, endpoint.ipv4, 80, briefly)).toBe("");
}

const firewalls = {
  "iptables with the policy DROP": ["iptables -P FORWARD DROP; ip6tables -P FORWARD DROP", "iptables -S"],
  "iptables that ends in a REJECT": [
    "iptables -A FORWARD -j REJECT; ip6tables -A FORWARD -j REJECT",
    "iptables -S",
  ],
  "legacy iptables": [
    "iptables-legacy -P FORWARD DROP; ip6tables-legacy -P FORWARD DROP",
    "iptables-legacy -S; ip6tables-legacy -S",
  ],
  "nft tables": [
    "nft add table inet wall '{ chain through { type filter hook forward priority 10; policy drop; ct state invalid drop; }; }'",
    "nft list table inet wall",
  ],
} as const;

for (const [what, [setUp, show]] of Object.entries(firewalls)) {
  test(`behind ${what} containers have their network; --iptables=false takes back what that needs`, async () => {
    sh(setUp);
    const before = sh(show);
    await restart();
    expectWorking();
    const running = sh(show);
    expect(running).toContain(bench.instance);
    await restart();
    expect(sh(show)).toBe(running);
    await restart(false);
    expect(sh(show)).toBe(before);
    expect(askFrom(client, neighbourAddress, 7000, briefly)).toBe("");
  });
}

test("a network brings its rules and takes them along", async () => {
  sh("iptables -P FORWARD DROP");
  await restart();
  const before = sh("iptables -S");
  const network = await bench.service.create(networkSpec("brief"));
  expect(sh("iptables -S")).toContain(`br-${network.id.slice(0, 12)}`);
  await bench.service.remove(network.id);
  expect(sh("iptables -S")).toBe(before);
});

test("a firewall that accepts is not touched", async () => {
  sh("iptables -A FORWARD -s 203.0.113.1 -j DROP");
  const before = sh("iptables -S");
  await restart();
  expect(sh("iptables -S")).toBe(before);
});

describe("with Docker's chains", () => {
  const docker = [
    "iptables -P FORWARD DROP",
    "iptables -N DOCKER",
    "iptables -N DOCKER-USER",
    "iptables -A DOCKER-USER -s 192.0.2.7 -p tcp -m conntrack --ctorigdstport 8080 -j DROP",
    "iptables -A DOCKER-USER -j RETURN",
    "iptables -A FORWARD -j DOCKER-USER",
    "iptables -A FORWARD -o docker0 -j DOCKER",
    "ip link add docker0 type bridge",
    "ip addr add 172.30.0.1/24 dev docker0",
    "ip link set docker0 up",
  ].join("; ");

  test("a drop in DOCKER-USER holds for our containers too, and the rest passes", async () => {
    sh(docker);
    await restart();
    expect(askFrom(client, neighbourAddress, 7000)).toBe("outside");
    expect(askNeighbour(host, hostAddress, 8080, briefly)).toBe("");
    expect(ask("127.0.0.1", 8080)).toContain("web");
  });

  test("our containers do not reach what Docker keeps closed", async () => {
    sh(docker);
    await restart();
    const theirs = await bench.container("theirs");
    sh(`ip link add d0 type veth peer name eth0 netns ${theirs.pid}; ip link set d0 master docker0 up`);
    theirs.run(
      "sh",
      "-c",
      "ip addr add 172.30.0.2/24 dev eth0; ip link set eth0 up; ip route add default via 172.30.0.1",
    );
    await serve(theirs, 80, "docker");
    expect(ask("172.30.0.2", 80)).toContain("docker");
    expect(askFrom(client, "172.30.0.2", 80, briefly)).toBe("");
    sh(
      "iptables -A DOCKER -d 172.30.0.2 -o docker0 -p tcp --dport 80 -j ACCEPT; iptables -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT",
    );
    expect(askFrom(client, "172.30.0.2", 80)).toContain("docker");
  });
});

test("what somebody flushes or starts while containers run is put right without being asked", async () => {
  await restart();
  sh("nft flush ruleset");
  await until(() => ask("127.0.0.1", 8080, briefly) !== "");
  sh("iptables -P FORWARD DROP");
  await until(() => askFrom(client, neighbourAddress, 7000, briefly) === "outside");
});

test("after a clean end everything is as it was", async () => {
  // The daemon of the test before would put right what was flushed after it.
  await bench.service.shutdown({ everything: false });
  sh("nft flush ruleset; iptables -P FORWARD DROP");
  const before = sh("nft list ruleset");
  bench.service = bench.open();
  await restart();
  expect(sh("nft list ruleset")).not.toBe(before);
  await bench.service.shutdown({ everything: true });
  bench.service = bench.open();
  expect(sh("nft list ruleset")).toBe(before);
});
