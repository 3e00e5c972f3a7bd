import { afterAll, beforeAll, expect, test } from "bun:test";
import type { PortPublication } from "./network.ts";
import {
  ask,
  briefly,
  type FakeContainer,
  listening,
  NetworkBench,
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
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});

const web = (hostPort?: number): PortPublication => ({
  protocol: "tcp",
  containerPort: 80,
  hostIp: "",
  ...(hostPort === undefined ? {} : { hostPort }),
});
/** Network names with the host ports published through them. */
const carried = (container: FakeContainer) =>
  Object.fromEntries(
    bench.service
      .ofContainer(container.containerId)
      .map((one) => [
        bench.service.resolve(one.network).name,
        one.ports.map((port) => `${port.hostIp} ${port.hostPort}`),
      ]),
  );

test("ports go to the first network that can publish, whatever the order of joining", async () => {
  const inner = await bench.service.create(networkSpec("inner", { internal: true }));
  const outer = await bench.service.create(networkSpec("outer"));
  const container = await bench.container("web");
  const ports = [web(18080)];
  await bench.plug(container, inner, { ports });
  await serve(container, 80, "found");
  expect(carried(container)).toEqual({ inner: [] });
  const way = await bench.plug(container, outer, { ports });
  expect(carried(container)).toEqual({ inner: [], outer: ["0.0.0.0 18080"] });
  expect(ask("127.0.0.1", 18080)).toContain("found");
  await bench.service.release(way);
  expect(carried(container)).toEqual({ inner: [] });
  expect(ask("127.0.0.1", 18080, briefly)).toBe("");
});

test("they follow the gateway when networks come and go, and keep their numbers", async () => {
  const alpha = await bench.service.create(networkSpec("alpha"));
  const zeta = await bench.service.create(networkSpec("zeta"));
  const six = await bench.service.create(
    networkSpec("six", { enableIPv6: true, options: { "com.docker.network.bridge.enable_icc": "false" } }),
  );
  const container = await bench.container("roamer");
  const ports = [web()];
  const first = await bench.plug(container, zeta, { ports });
  await serve(container, 80, "here");
  const port = first.ports[0]?.hostPort ?? 0;
  expect(carried(container)).toEqual({ zeta: [`0.0.0.0 ${port}`] });
  const better = await bench.plug(container, alpha, { ports });
  expect(carried(container)).toEqual({ zeta: [], alpha: [`0.0.0.0 ${port}`] });
  expect(ask("127.0.0.1", port)).toBe(`here from ${better.ipv4Gateway}`);
  const both = await bench.plug(container, six, { ports });
  expect(carried(container)).toEqual({ zeta: [], alpha: [`0.0.0.0 ${port}`], six: [`:: ${port}`] });
  await bench.service.release(both);
  await bench.service.release(better);
  expect(carried(container)).toEqual({ zeta: [`0.0.0.0 ${port}`] });
  expect(ask("127.0.0.1", port)).toBe(`here from ${first.ipv4Gateway}`);
  const preferred = await bench.plug(container, alpha, { ports, gatewayPriority: -1 });
  expect(carried(container)).toEqual({ zeta: [`0.0.0.0 ${port}`], alpha: [] });
  await bench.service.release(preferred);
  await container.kill();
  await bench.service.release(first);
  expect(ask("127.0.0.1", port, briefly)).toBe("");
});

test("a change of ports is refused as a whole, and leaves open connections of the others alone", async () => {
  const network = await bench.service.create(networkSpec("steady"));
  const container = await bench.container("steady");
  const other = await bench.container("other");
  const taken = await bench.plug(other, network, { ports: [web(18091)] });
  const endpoint = await bench.plug(container, network, { ports: [web(18090)] });
  container.spawn("socat", "TCP4-LISTEN:80,fork,reuseaddr", "EXEC:cat");
  await listening(container.run, 80);
  const echoes = Promise.withResolvers<string>();
  let heard = "";
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: 18090,
    socket: {
      data(_socket, data) {
        heard += data.toString();
        if (heard.endsWith("after\n")) echoes.resolve(heard);
      },
      close: () => echoes.resolve(`closed after ${heard}`),
    },
  });
  client.write("before\n");
  await expect(bench.service.publish(endpoint, [web(18090), web(18092), web(18091)])).rejects.toThrow(
    "Bind for 0.0.0.0:18091 failed: port is already allocated",
  );
  expect(carried(container)).toEqual({ steady: ["0.0.0.0 18090"] });
  expect(ask("127.0.0.1", 18092, briefly)).toBe("");
  await bench.service.publish(endpoint, [web(18090), web(18092)]);
  await bench.service.publish(endpoint, [web(18090)]);
  client.write("after\n");
  expect(await echoes.promise).toBe("before\nafter\n");
  client.end();
  expect(taken.ports).toHaveLength(1);
});
