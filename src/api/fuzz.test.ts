import { expect, test } from "bun:test";
import { randomNumbers } from "../base/lib/testdata/random-numbers.ts";
import { FakeServer } from "./fakes/server.ts";

const names = [
  "Image",
  "Cmd",
  "Env",
  "HostConfig",
  "Binds",
  "PortBindings",
  "80/tcp",
  "Memory",
  "Mounts",
  "Type",
  "BindOptions",
  "NetworkingConfig",
  "EndpointsConfig",
  "bridge",
  "IPAMConfig",
  "MacAddress",
  "Healthcheck",
  "Test",
  "Labels",
  "Name",
  "IPAM",
  "Config",
  "Container",
  "EndpointConfig",
  "RestartPolicy",
  "Ulimits",
  "Sysctls",
  "LogConfig",
  "__proto__",
  "constructor",
  "net.ipv4.conf.eth0.x",
];

function value(random: () => number, depth: number): unknown {
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)];
  const kind = Math.floor(random() * (depth > 4 ? 6 : 8));
  if (kind === 0) return null;
  if (kind === 1) return random() < 0.5;
  if (kind === 2) return pick([0, -1, 1.5, 1e308, 2 ** 53, 7]);
  if (kind <= 5) return pick(["", "x", "bridge", "bind", "\0", "ü😀", "a".repeat(300), "default"]);
  if (kind === 6) return Array.from({ length: Math.floor(random() * 4) }, () => value(random, depth + 1));
  const entries: [string, unknown][] = [];
  for (let i = Math.floor(random() * 6); i > 0; i--)
    entries.push([pick(names) ?? "x", value(random, depth + 1)]);
  return Object.fromEntries(entries);
}

test("no body and no query makes any route fail with a 500, or hang", async () => {
  await using server = new FakeServer();
  const random = randomNumbers(7);
  // Long-lived streams need no body, and end only with their client.
  const routes = server.api.routes.filter(({ path }) => !/\/(attach|wait|start|events)/.test(path));
  for (let round = 0; round < 12; round++) {
    for (const route of routes) {
      const version = 24 + Math.floor(random() * 33);
      const path = route.path.replaceAll(
        /\{[^}]*\}/g,
        () => ["x", "missing", "%00", "a:b"][round % 4] ?? "x",
      );
      const query =
        round % 3 === 0 ? "" : `?filters=${encodeURIComponent(JSON.stringify(value(random, 3)))}&path=/`;
      const body =
        route.method === "GET" || route.method === "HEAD" ? undefined : JSON.stringify(value(random, 0));
      const reply = await server.ask(route.method, `/v1.${version}${path}${query}`, body, {
        "Content-Type": "application/json",
      });
      if (reply.status === 500) expect([route.method, path, body, reply.text]).toEqual([]);
      expect(reply.status).toBeGreaterThanOrEqual(200);
    }
  }
}, 60_000);
