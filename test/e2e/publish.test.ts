import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { eventually, TestDaemon } from "../harness/daemon.ts";
import { processes } from "../harness/machine.ts";
import { freePort, freePorts } from "../harness/registry.ts";
import { startWeb, tryFetch } from "../harness/web.ts";

/** Ports of containers that run: published, taken back, moved between networks. */
let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const web = (name: string, ...flags: string[]) => startWeb(daemon, name, ...flags);
const get = (port: number) => tryFetch(`http://127.0.0.1:${port}/`);
const answers = (port: number, name: string) =>
  eventually(`${port} leads to ${name}`, async () => (await get(port)) === `from ${name}\n`);
const bindings = async (name: string) =>
  JSON.parse(await daemon.ok(["inspect", "-f", "{{json .HostConfig.PortBindings}}", name]));

test("update publishes and takes back ports of a running container, which ps, port and inspect show", async () => {
  const [old, added, ranged] = [freePort(), freePort(), freePorts(10)];
  await web("web", "-p", `${old}:80`);
  await answers(old, "web");
  await daemon.ok(["update", "--publish-add", `${added}:80/tcp`, "--publish-rm", `${old}`, "web"]);
  await answers(added, "web");
  expect(await get(old)).toBe("");
  expect(await daemon.ok(["ps", "--format", "{{.Ports}}"])).toBe(`0.0.0.0:${added}->80/tcp`);
  expect(await daemon.ok(["port", "web"])).toBe(`80/tcp -> 0.0.0.0:${added}`);
  expect(await bindings("web")).toEqual({ "80/tcp": [{ HostIp: "", HostPort: `${added}` }] });
  await daemon.ok(["update", "--publish-add", `127.0.0.1:${ranged}-${ranged + 9}:9000-9009/udp`, "web"]);
  expect(await daemon.ok(["port", "web", "9009/udp"])).toBe(`127.0.0.1:${ranged + 9}`);
  await daemon.ok(["update", "--publish-rm", "9000-9009/udp", "--publish-add", "target=81", "web"]);
  expect(await daemon.ok(["port", "web", "81"])).toMatch(/^0\.0\.0\.0:\d+$/);
  expect((await daemon.tug(["update", "--publish-rm", "9000/udp", "web"])).stderr).toContain(
    "port 9000/udp is not published",
  );
  expect((await daemon.tug(["update", "--publish-add", "x:y", "web"])).code).toBe(1);
});

test("a port that is taken is refused with Docker's words, and nothing changes", async () => {
  const [one, two, free] = [freePort(), freePort(), freePort()];
  await web("first", "-p", `${one}:80`);
  await web("second", "-p", `${two}:80`);
  const refused = await daemon.tug([
    "update",
    "--publish-add",
    `${free}:80`,
    "--publish-add",
    `${one}:80`,
    "--publish-rm",
    `${two}:80`,
    "second",
  ]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(`Bind for 0.0.0.0:${one} failed: port is already allocated`);
  expect(await bindings("second")).toEqual({ "80/tcp": [{ HostIp: "", HostPort: `${two}` }] });
  await answers(two, "second");
  await answers(one, "first");
  expect(await get(free)).toBe("");
});

test("changed ports outlast a restart of the container and of the daemon, and open connections outlast the change", async () => {
  const [old, added] = [freePort(), freePort()];
  await web("web", "-p", `${old}:80`);
  await answers(old, "web");
  // A connection of the old port that is in the middle of its request.
  const answered = Promise.withResolvers<string>();
  let text = "";
  const open = await Bun.connect({
    hostname: "127.0.0.1",
    port: old,
    socket: {
      data: (_socket, data) => {
        text += data.toString();
      },
      close: () => answered.resolve(text),
    },
  });
  open.write("GET / HTTP/1.0\r\n");
  await daemon.ok(["update", "--publish-add", `${added}:80`, "web"]);
  await answers(added, "web");
  open.write("\r\n");
  expect(await answered.promise).toContain("from web");
  await daemon.ok(["restart", "-t", "0", "web"]);
  await answers(added, "web");
  await answers(old, "web");
  await daemon.crash();
  await answers(added, "web");
  await daemon.up();
  await answers(added, "web");
  await daemon.ok(["update", "--publish-rm", `${old}:80`, "web"]);
  expect(await get(old)).toBe("");
  await daemon.restart();
  await answers(added, "web");
  expect(await get(old)).toBe("");
  await daemon.ok(["stop", "-t", "0", "web"]);
  expect(await get(added)).toBe("");
  await daemon.ok(["update", "--publish-rm", "80", "web"]);
  await daemon.ok(["start", "web"]);
  expect(await daemon.ok(["ps", "--format", "{{.Ports}}"])).toBe("80/tcp");
}, 120_000);

test("ports go through the first network that can publish, and move when networks are connected and left", async () => {
  const port = freePort();
  await daemon.ok(["network", "create", "--internal", "inner"]);
  await daemon.ok(["network", "create", "outer"]);
  await web("web", "--network", "inner", "--network", "outer", "-p", `${port}:80`);
  await answers(port, "web");
  await daemon.ok(["network", "disconnect", "outer", "web"]);
  expect(await get(port)).toBe("");
  expect(await daemon.ok(["port", "web"])).toBe("");
  await daemon.ok(["network", "connect", "outer", "web"]);
  await answers(port, "web");
  expect(await daemon.ok(["ps", "--format", "{{.Ports}}"])).toBe(`0.0.0.0:${port}->80/tcp`);
  await daemon.ok(["network", "create", "also"]);
  await daemon.ok(["network", "connect", "also", "web"]);
  await daemon.ok(["network", "disconnect", "outer", "web"]);
  await answers(port, "web");
}, 120_000);

test("a thousand ports are published as fast as one, without a process or memory for each", async () => {
  const one = performance.now();
  await web("one", "-p", `${freePort()}:80`);
  const single = performance.now() - one;
  const before = daemon.residentBytes();
  const first = freePorts(1001);
  const last = first + 1000;
  const own = () => processes().filter(({ command }) => command.includes(`${daemon.root}/`)).length;
  const running = own();
  const many = performance.now();
  await web("many", "-p", `${first}-${last}:${first}-${last}`);
  // A process for each would take some ten milliseconds each.
  expect(performance.now() - many).toBeLessThan(single * 3 + 10_000);
  // The container's monitor; on a busy machine its parent half, which started it, may still be there.
  expect(own() - running).toBeLessThan(10);
  expect(daemon.residentBytes() - before).toBeLessThan(32 << 20);
  expect(await daemon.ok(["port", "many", `${last}`])).toBe(`0.0.0.0:${last}`);
  expect(await daemon.ok(["ps", "--filter", "name=many", "--format", "{{.Ports}}"])).toContain(
    `0.0.0.0:${first}-${last}->${first}-${last}/tcp`,
  );
});

test("what is shown is what is published: IPv4 alone without IPv6, and localhost falls back to it at once", async () => {
  const [port, six] = [freePort(), freePort()];
  await web("web", "-p", `${port}:80`);
  await answers(port, "web");
  expect(await daemon.ok(["ps", "--format", "{{.Ports}}"])).toBe(`0.0.0.0:${port}->80/tcp`);
  await expect(fetch(`http://[::1]:${port}/`)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  expect(await (await fetch(`http://localhost:${port}/`)).text()).toBe("from web\n");
  const said = await daemon.tug([
    "create",
    "--name",
    "six",
    "-p",
    `[::1]:${six}:80`,
    "-p",
    `[::]:${six}:80`,
    "busybox",
  ]);
  expect(said.stderr).toContain(
    "Port 80/tcp is not published on [::1]: the kernel forwards nothing from there",
  );
  expect(said.stderr).toContain(
    "Port 80/tcp is not published on [::]: the container has no network with IPv6.",
  );
  await daemon.ok(["network", "create", "--ipv6", "dual"]);
  await web("both", "--network", "dual", "-p", `${six}:80`);
  expect(await daemon.ok(["port", "both"])).toBe(`80/tcp -> 0.0.0.0:${six}\n80/tcp -> [::]:${six}`);
});
