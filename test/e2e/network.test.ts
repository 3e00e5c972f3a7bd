import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { eventually, run, TestDaemon } from "../harness/daemon.ts";
import { freePort } from "../harness/registry.ts";
import { startWeb, tryFetch } from "../harness/web.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const web = (name: string, ...flags: string[]) => startWeb(daemon, name, ...flags);
const fetchText = async (url: string) => (await fetch(url, { signal: AbortSignal.timeout(20_000) })).text();
const answers = (url: string) => eventually(`${url} answers`, async () => (await tryFetch(url)) !== "");

describe("published ports", () => {
  test("-p reaches the container through 127.0.0.1 and through the host's other addresses", async () => {
    const port = freePort();
    await web("web", "-p", `${port}:80`);
    await answers(`http://127.0.0.1:${port}/`);
    expect(await fetchText(`http://127.0.0.1:${port}/`)).toBe("from web\n");
    const gateway = await daemon.ok(["inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", "web"]);
    expect(await fetchText(`http://${gateway}:${port}/`)).toBe("from web\n");
    expect(await daemon.ok(["ps", "--format", "{{.Ports}}"])).toContain(`0.0.0.0:${port}->80/tcp`);
    await daemon.ok(["rm", "-f", "web"]);
    await expect(fetchText(`http://127.0.0.1:${port}/`)).rejects.toThrow();
  });

  test("an ephemeral port is chosen and shown", async () => {
    await web("any", "-p", "127.0.0.1::80");
    const shown = await daemon.ok(["port", "any", "80"]);
    expect(shown).toMatch(/^127\.0\.0\.1:\d+$/);
    await answers(`http://${shown}/`);
  });

  test("a port in use by a container or by a host process is refused and leaves a container that can be removed", async () => {
    const port = freePort();
    await web("first", "-p", `${port}:80`);
    const second = await daemon.tug([
      "run",
      "-d",
      "--name",
      "second",
      "-p",
      `${port}:80`,
      "busybox",
      "sleep",
      "1000",
    ]);
    expect(second.code).toBe(125);
    expect(second.stderr).toContain(`Bind for 0.0.0.0:${port} failed: port is already allocated`);
    expect(await daemon.ok(["inspect", "-f", "{{.State.Status}}", "second"])).toBe("created");
    const server = Bun.listen({ hostname: "0.0.0.0", port: 0, socket: { data: () => undefined } });
    try {
      const third = await daemon.tug([
        "run",
        "-d",
        "--name",
        "third",
        "-p",
        `${server.port}:80`,
        "busybox",
        "sleep",
        "1000",
      ]);
      expect(third.code).toBe(125);
      expect(third.stderr).toContain("address already in use");
    } finally {
      server.stop(true);
    }
  });

  test("udp is published too, and answers come back from the port that was asked", async () => {
    const port = freePort();
    await daemon.ok(["run", "-d", "--name", "udp", "-p", `${port}:9999/udp`, "busybox", "sleep", "1000"]);
    const pid = await daemon.ok(["inspect", "-f", "{{.State.Pid}}", "udp"]);
    // busybox has no UDP server: one of ours listens inside the container's network namespace.
    const script =
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the other program's template
      "await Bun.udpSocket({ port: 9999, socket: { data: (s, d, p, a) => s.send(`echo ${d}`, p, a) } }); console.log('ready');";
    const server = Bun.spawn(["nsenter", "-t", pid, "-n", process.execPath, "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      await server.stdout.getReader().read();
      const answer = Promise.withResolvers<string>();
      const client = await Bun.udpSocket({
        connect: { hostname: "127.0.0.1", port },
        socket: { data: (_socket, data) => answer.resolve(data.toString()) },
      });
      client.send("ping");
      expect(await Promise.race([answer.promise, Bun.sleep(20_000).then(() => "no answer")])).toBe(
        "echo ping",
      );
      client.close();
    } finally {
      server.kill();
      await server.exited;
    }
  });

  test("a container reaches another's published port through the host's address", async () => {
    const port = freePort();
    await web("target", "-p", `${port}:80`);
    await answers(`http://127.0.0.1:${port}/`);
    const gateway = await daemon.ok([
      "inspect",
      "-f",
      "{{.NetworkSettings.Networks.bridge.Gateway}}",
      "target",
    ]);
    expect(await daemon.ok(["run", "--rm", "busybox", "wget", "-qO-", `http://${gateway}:${port}/`])).toBe(
      "from target",
    );
    expect(
      await daemon.ok(["run", "--rm", "busybox", "wget", "-qO-", `http://host.docker.internal:${port}/`]),
    ).toBe("from target");
  });
});

describe("networks", () => {
  test("the default bridge gives an address, a gateway and the host's name servers; host and none do what they say", async () => {
    expect(
      await daemon.ok([
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "ip -4 -o addr show eth0 | wc -l; ip route | grep -c default",
      ]),
    ).toBe("1\n1");
    expect(await daemon.ok(["run", "--rm", "--network", "none", "busybox", "ls", "/sys/class/net"])).toBe(
      "lo",
    );
    const inside = await daemon.ok([
      "run",
      "--rm",
      "--network",
      "host",
      "busybox",
      "readlink",
      "/proc/self/ns/net",
    ]);
    expect(inside).toBe((await run(["readlink", "/proc/self/ns/net"])).stdout.trim());
    const hosts = await daemon.ok([
      "run",
      "--rm",
      "-h",
      "myself",
      "--add-host",
      "db:10.1.2.3",
      "busybox",
      "cat",
      "/etc/hosts",
    ]);
    expect(hosts).toMatch(/^127\.0\.0\.1\tlocalhost/m);
    expect(hosts).toContain("10.1.2.3\tdb");
    expect(hosts).toMatch(/^\d+\.\d+\.\d+\.\d+\tmyself/m);
  });

  test("user-defined networks resolve container names and aliases, before and after a restart of either end", async () => {
    await daemon.ok(["network", "create", "app"]);
    await web("db", "--network", "app", "--network-alias", "database");
    const ask = (name: string) =>
      daemon.ok(["run", "--rm", "--network", "app", "busybox", "wget", "-qO-", `http://${name}/`]);
    await eventually(
      "db answers",
      async () => (await daemon.tug(["exec", "db", "wget", "-qO-", "http://127.0.0.1/"])).code === 0,
    );
    expect(await ask("db")).toBe("from db");
    expect(await ask("database")).toBe("from db");
    expect(
      await daemon.ok(["run", "--rm", "--network", "app", "busybox", "cat", "/etc/resolv.conf"]),
    ).toContain("nameserver 127.0.0.11");
    const nothing = await daemon.tug([
      "run",
      "--rm",
      "--network",
      "app",
      "busybox",
      "nslookup",
      "nosuch.invalid",
    ]);
    expect(nothing.code).toBe(1);
  });

  test("containers of different networks do not reach each other", async () => {
    await daemon.ok(["network", "create", "one"]);
    await daemon.ok(["network", "create", "two"]);
    await web("island", "--network", "one");
    const address = await daemon.ok([
      "inspect",
      "-f",
      "{{.NetworkSettings.Networks.one.IPAddress}}",
      "island",
    ]);
    await eventually(
      "reachable from its own network",
      async () =>
        (
          await daemon.tug([
            "run",
            "--rm",
            "--init",
            "--network",
            "one",
            "busybox",
            "timeout",
            "3",
            "wget",
            "-qO-",
            `http://${address}/`,
          ])
        ).code === 0,
    );
    const across = await daemon.tug([
      "run",
      "--rm",
      "--init",
      "--network",
      "two",
      "busybox",
      "timeout",
      "3",
      "wget",
      "-qO-",
      `http://${address}/`,
    ]);
    expect(across.code).not.toBe(0);
  });

  test("connect and disconnect change a running container", async () => {
    await daemon.ok(["network", "create", "--subnet", "10.203.7.0/24", "late"]);
    await daemon.ok(["run", "-d", "--name", "mover", "busybox", "sleep", "1000"]);
    await daemon.ok(["network", "connect", "--ip", "10.203.7.77", "late", "mover"]);
    expect(await daemon.ok(["exec", "mover", "ip", "-4", "-o", "addr"])).toContain("10.203.7.77/24");
    expect((await daemon.tug(["network", "rm", "late"])).stderr).toContain("has active endpoints");
    await daemon.ok(["network", "disconnect", "late", "mover"]);
    expect(await daemon.ok(["exec", "mover", "ip", "-4", "-o", "addr"])).not.toContain("10.203.7.77");
  });

  test("create, ls, inspect, rm and their refusals", async () => {
    const id = await daemon.ok(["network", "create", "--subnet", "10.203.8.0/24", "--label", "a=b", "made"]);
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    const shown = JSON.parse(await daemon.ok(["network", "inspect", "made"]))[0];
    expect([shown.Name, shown.Driver, shown.IPAM.Config[0].Subnet, shown.Labels]).toEqual([
      "made",
      "bridge",
      "10.203.8.0/24",
      { a: "b" },
    ]);
    expect((await daemon.tug(["network", "create", "made"])).stderr).toContain(
      "network with name made already exists",
    );
    expect((await daemon.tug(["network", "create", "--subnet", "10.203.8.0/25", "clash"])).stderr).toContain(
      "overlaps",
    );
    expect((await daemon.tug(["network", "rm", "bridge"])).stderr).toContain("pre-defined");
    expect((await daemon.tug(["network", "rm", "nosuch"])).stderr).toContain("network nosuch not found");
    expect(await daemon.ok(["network", "rm", "made"])).toBe("made");
  });
});

describe("two daemons on one host", () => {
  test("live side by side with their own bridges and addresses, and do not see each other", async () => {
    const other = await TestDaemon.start();
    try {
      await web("same");
      await other.ok(["run", "-d", "--name", "same", "busybox", "sleep", "1000"]);
      const address = (one: TestDaemon) =>
        one.ok(["inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "same"]);
      const [mine, theirs] = [await address(daemon), await address(other)];
      expect(mine).not.toBe(theirs);
      await other.close();
      expect(await daemon.ok(["exec", "same", "true"])).toBe("");
    } finally {
      await other.close();
    }
  }, 120_000);
});
