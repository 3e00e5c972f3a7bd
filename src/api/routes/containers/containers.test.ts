import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { FakeServer } from "../../fakes/server.ts";

let server: FakeServer;
beforeAll(() => {
  server = new FakeServer();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => {
  server.fakes.containers.clear();
  server.fakes.calls.length = 0;
});

const created =
  (version = "1.56") =>
  (body: object, query = "") =>
    server.ask("POST", `/v${version}/containers/create${query}`, body);
/** The request that reached the backend. */
const request = () => server.last?.[1] as Record<string, Record<string, unknown>>;

describe("create", () => {
  test("replies 201 with id and warnings and hands on name and platform", async () => {
    const reply = await created()({ Image: "busybox" }, "?name=web&platform=linux/arm64");
    expect(reply.status).toBe(201);
    expect(reply.json).toEqual({ Id: expect.stringMatching(/^c+1$/), Warnings: [] });
    expect(server.last?.[2]).toMatchObject({ name: "web", platform: "linux/arm64" });
  });

  test("reads names in any case, drops what it does not know, and takes null for nothing", async () => {
    await created()({
      image: "busybox",
      CMD: ["sh"],
      Nonsense: 1,
      Env: null,
      hostconfig: { memory: 5, Unknown: true, PortBindings: { "80/tcp": null }, Init: null },
    });
    expect(request()).toEqual({
      Image: "busybox",
      Cmd: ["sh"],
      HostConfig: {
        Memory: 5,
        NetworkMode: "bridge",
        PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "" }] },
      },
      NetworkingConfig: { EndpointsConfig: {} },
    } as never);
  });

  test("takes a string where the command is a list of one", async () => {
    await created()({ Image: "x", Cmd: "ls", Entrypoint: "/bin/sh" });
    expect(request()).toMatchObject({ Cmd: ["ls"], Entrypoint: ["/bin/sh"] });
  });

  test("moves settings of the default network to the bridge", async () => {
    await created()({
      Image: "x",
      HostConfig: { NetworkMode: "default" },
      NetworkingConfig: { EndpointsConfig: { default: { Aliases: ["a"] } } },
    });
    expect(request()["NetworkingConfig"]).toEqual({ EndpointsConfig: { bridge: { Aliases: ["a"] } } });
  });

  test("a name in use is a conflict with Docker's text", async () => {
    await created()({ Image: "x" }, "?name=web");
    const reply = await created()({ Image: "x" }, "?name=web");
    expect(reply.status).toBe(409);
    expect(reply.text).toContain('Conflict. The container name \\"/web\\" is already in use');
  });

  test("an unknown image is 404", async () => {
    const reply = await created()({ Image: "missing" });
    expect([reply.status, reply.json]).toEqual([404, { message: "No such image: missing:latest" }]);
  });

  test("prototype names in maps are plain keys", async () => {
    const body = '{"Image":"x","Labels":{"__proto__":"evil","constructor":"c"}}';
    await server.ask("POST", "/containers/create", body, { "Content-Type": "application/json" });
    expect(Object.entries(request()["Labels"] ?? {})).toEqual([
      ["__proto__", "evil"],
      ["constructor", "c"],
    ]);
  });
});

test("what Tug adds is handed on and checked", async () => {
  const secrets = [{ Source: "token", Target: "t", Mode: 0o440 }];
  await created()({
    Image: "x",
    Healthcheck: { Test: ["CMD", "true"], OnFailure: "restart" },
    HostConfig: { Secrets: secrets, DependsOn: { db: { Condition: "healthy" } } },
  });
  expect(request()["HostConfig"]).toMatchObject({
    Secrets: secrets,
    DependsOn: { db: { Condition: "healthy" } },
  });
  expect(request()["Healthcheck"]).toEqual({ Test: ["CMD", "true"], OnFailure: "restart" });
  expect((await created()({ Image: "x", Healthcheck: { OnFailure: "explode" } })).json).toEqual({
    message:
      'invalid CreateRequest.Healthcheck.OnFailure: "explode" (must be one of none, kill, restart, stop)',
  });
});

describe("create for older clients", () => {
  test("before 1.44 the container-wide MAC address becomes the endpoint's", async () => {
    await created("1.43")({ Image: "x", MacAddress: "02:00:00:00:00:01" });
    expect(request()["NetworkingConfig"]).toEqual({
      EndpointsConfig: { bridge: { MacAddress: "02:00:00:00:00:01" } },
    });
    const host = await created("1.43")({
      Image: "x",
      MacAddress: "02:00:00:00:00:01",
      HostConfig: { NetworkMode: "host" },
    });
    expect(host.json).toEqual({ message: "conflicting options: mac-address and the network mode" });
  });

  test("from 1.44 it is moved with a warning, and must not contradict the endpoint", async () => {
    const reply = await created("1.47")({ Image: "x", MacAddress: "02:00:00:00:00:01" });
    expect(reply.json).toMatchObject({
      Warnings: [
        "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.",
      ],
    });
    const clash = await created("1.47")({
      Image: "x",
      MacAddress: "02:00:00:00:00:01",
      NetworkingConfig: { EndpointsConfig: { bridge: { MacAddress: "02:00:00:00:00:02" } } },
    });
    expect(clash.status).toBe(400);
  });

  test("before 1.44 one network at most", async () => {
    const body = { Image: "x", NetworkingConfig: { EndpointsConfig: { a: {}, b: {} } } };
    expect((await created("1.43")(body)).json).toEqual({
      message: "Container cannot be created with multiple network endpoints: a, b",
    });
    expect((await created("1.44")(body)).status).toBe(201);
  });

  test("defaults that changed later", async () => {
    await created("1.39")({ Image: "x", Healthcheck: { Test: ["NONE"], StartInterval: 5 } });
    expect(request()["HostConfig"]).toMatchObject({ IpcMode: "shareable", CgroupnsMode: "host" });
    expect(request()["Healthcheck"]).toEqual({ Test: ["NONE"] });
    expect(server.last?.[2]).toMatchObject({ readOnlyNonRecursive: true });
    await created()({ Image: "x" });
    expect(request()["HostConfig"]).toEqual({ NetworkMode: "bridge" });
  });

  test("1.24 left removal to the client", async () => {
    await created("1.24")({ Image: "x", HostConfig: { AutoRemove: true } });
    expect(request()["HostConfig"]).toMatchObject({ AutoRemove: false });
  });

  test("mount options of the wrong type are dropped before 1.42 and refused since", async () => {
    const body = {
      Image: "x",
      HostConfig: { Mounts: [{ Type: "bind", Source: "/a", Target: "/b", TmpfsOptions: { SizeBytes: 1 } }] },
    };
    expect((await created("1.41")(body)).status).toBe(201);
    expect((await created("1.42")(body)).json).toEqual({
      message: 'TmpfsOptions must not be specified on mount type "bind"',
    });
  });

  test("interface sysctls move to the endpoint up to 1.47 and are refused since", async () => {
    const body = {
      Image: "x",
      HostConfig: { Sysctls: { "net.ipv4.conf.eth0.forwarding": "1", "kernel.x": "2" } },
    };
    const reply = await created("1.47")(body);
    expect(reply.json).toMatchObject({
      Warnings: [
        'Migrated sysctl "net.ipv4.conf.eth0.forwarding" to DriverOpts{"com.docker.network.endpoint.sysctls":"net.ipv4.conf.IFNAME.forwarding=1"}.',
      ],
    });
    expect(request()["HostConfig"]).toMatchObject({ Sysctls: { "kernel.x": "2" } });
    expect((await created("1.48")(body)).status).toBe(400);
  });

  test("no pids limit in any of its spellings", async () => {
    for (const limit of [0, -1, -5]) {
      await created()({ Image: "x", HostConfig: { PidsLimit: limit } });
      expect(request()["HostConfig"]).not.toHaveProperty("PidsLimit");
    }
  });
});

describe("state", () => {
  test("start, stop, restart, kill, pause, rename, update, remove", async () => {
    const id = ((await created()({ Image: "x" }, "?name=web")).json as { Id: string }).Id;
    expect((await server.ask("POST", `/containers/${id}/start?checkpoint=a&checkpoint-dir=/b`)).status).toBe(
      204,
    );
    expect(server.last).toEqual(["start", id, { checkpoint: "a", checkpointDir: "/b" }]);
    expect((await server.ask("POST", "/containers/web/stop?t=5&signal=INT")).status).toBe(204);
    expect(server.last).toEqual(["stop", "web", { signal: "INT", timeout: 5 }]);
    expect((await server.ask("POST", "/containers/web/stop")).status).toBe(304);
    await server.ask("POST", "/v1.41/containers/web/restart?t=-1&signal=INT");
    expect(server.last).toEqual(["restart", "web", { signal: undefined, timeout: -1 }]);
    const kill = await server.ask("POST", "/containers/web/kill?signal=KILL");
    expect([kill.status, kill.json]).toEqual([
      409,
      { message: `cannot kill container: web: container ${id} is not running` },
    ]);
    expect((await server.ask("POST", "/containers/web/pause")).status).toBe(204);
    expect((await server.ask("POST", "/containers/web/unpause")).status).toBe(204);
    expect((await server.ask("POST", "/containers/web/rename?name=other")).status).toBe(204);
    await server.ask("POST", "/containers/other/update", { Memory: 7, PidsLimit: -1, PublishAdd: ["80:80"] });
    expect(server.last).toEqual(["update", "other", { Memory: 7, PidsLimit: 0, PublishAdd: ["80:80"] }]);
    expect((await server.ask("DELETE", "/containers/other?v=1&force=true&link=0")).status).toBe(204);
    expect(server.last).toEqual(["remove", "other", { force: true, volumes: true, link: false }]);
    expect((await server.ask("GET", "/containers/other/json")).json).toEqual({
      message: "No such container: other",
    });
  });

  test("start refuses the HostConfig of before 1.24", async () => {
    const reply = await server.ask("POST", "/containers/x/start", { Binds: ["/a:/b"] });
    expect(reply.status).toBe(400);
  });

  test("wait sends its head before the container ends", async () => {
    const id = ((await created()({ Image: "x" })).json as { Id: string }).Id;
    await server.ask("POST", `/containers/${id}/start`);
    const response = await fetch(`http://d/containers/${id}/wait?condition=next-exit`, {
      method: "POST",
      unix: server.socket,
    });
    expect(response.status).toBe(200);
    await server.ask("POST", `/containers/${id}/kill`);
    expect(await response.json()).toEqual({ StatusCode: 137 });
    const bad = await server.ask("POST", `/containers/${id}/wait?condition=soon`);
    expect([bad.status, bad.json]).toEqual([400, { message: 'invalid condition: "soon"' }]);
    const missing = await server.ask("POST", "/containers/none/wait");
    expect(missing.status).toBe(404);
  });
});

describe("looking", () => {
  test("list takes both forms of filters and the old since and before", async () => {
    const one = encodeURIComponent('{"label":{"a=b":true,"c":false},"status":["exited"]}');
    await server.ask("GET", `/containers/json?all=True&limit=3&size=1&filters=${one}&before=x`);
    expect(server.last).toEqual([
      "list",
      {
        all: true,
        limit: 3,
        size: true,
        filters: { label: ["a=b", "c"], status: ["exited"], before: ["x"] },
      },
    ]);
  });

  test("booleans by Docker's rule: everything but nothing, 0, no, false and none is true", async () => {
    for (const [text, value] of [
      ["1", true],
      ["yes", true],
      ["TRUE", true],
      ["", false],
      ["0", false],
      ["False", false],
      ["none", false],
      ["No", false],
    ] as const) {
      await server.ask("GET", `/containers/json?all=${text}`);
      expect(server.last?.[1]).toMatchObject({ all: value });
    }
  });

  test("summaries have what the version knows", async () => {
    await created()({ Image: "x" });
    const at = async (version: string) =>
      ((await server.ask("GET", `/v${version}/containers/json?all=1`)).json as Record<string, unknown>[])[0];
    expect(await at("1.56")).toMatchObject({ Health: {}, HostConfig: { Annotations: { a: "b" } } });
    expect(await at("1.45")).not.toHaveProperty("Health");
    expect((await at("1.45"))?.["HostConfig"]).toEqual({ NetworkMode: "bridge" });
  });

  test("inspect shows the bridge at the top until 1.52, and the short id as alias until 1.45", async () => {
    await created()({ Image: "x", Hostname: "host" }, "?name=web");
    const at = async (version: string) =>
      (await server.ask("GET", `/v${version}/containers/web/json`)).json as Record<
        string,
        Record<string, unknown>
      >;
    const newest = await at("1.56");
    expect(newest["NetworkSettings"]).not.toHaveProperty("IPAddress");
    expect(newest).toHaveProperty("Storage");
    const old = await at("1.44");
    expect(old["NetworkSettings"]).toMatchObject({
      IPAddress: "172.17.0.2",
      MacAddress: "02:42:ac:11:00:02",
      Bridge: "",
      Networks: { mine: { Aliases: ["web", "cccccccccccc", "host"] } },
    });
    // What the container got is not what somebody asked for: who makes it anew from this would pin it.
    expect(old["Config"]).not.toHaveProperty("MacAddress");
    expect(old["GraphDriver"]).toEqual({ Name: "overlay2", Data: null });
    expect((await at("1.47"))["NetworkSettings"]).toMatchObject({ Networks: { mine: { Aliases: ["web"] } } });
  });

  test("top, changes and stats", async () => {
    await server.ask("GET", "/containers/x/top?ps_args=-ef");
    expect(server.last).toEqual(["top", "x", "-ef"]);
    expect((await server.ask("GET", "/containers/x/changes")).text).toBe("null\n");
    const stats = await server.ask("GET", "/containers/x/stats?stream=0");
    expect(stats.text.trim().split("\n")).toHaveLength(2);
  });

  test("logs are framed without a terminal and say so from 1.42 on", async () => {
    await created()({ Image: "x" }, "?name=plain");
    await created()({ Image: "x", Tty: true }, "?name=tty");
    const at = (version: string, name: string) =>
      server.ask("GET", `/v${version}/containers/${name}/logs?stdout=1&stderr=1&tail=10&since=1.5`);
    const framed = await at("1.42", "plain");
    expect(framed.headers.get("content-type")).toBe("application/vnd.docker.multiplexed-stream");
    expect(framed.text).toBe("\x01\0\0\0\0\0\0\x0ato stdout\n\x02\0\0\0\0\0\0\x0ato stderr\n");
    expect(server.last?.[2]).toMatchObject({ tail: 10, since: 1_500_000_000n, until: undefined });
    expect((await at("1.41", "plain")).headers.get("content-type")).toBe("application/vnd.docker.raw-stream");
    const raw = await at("1.56", "tty");
    expect(raw.headers.get("content-type")).toBe("application/vnd.docker.raw-stream");
    expect(raw.text).toBe("to stdout\nto stderr\n");
    expect((await at("1.56", "none")).status).toBe(404);
  });

  test("resize takes rows and columns", async () => {
    expect((await server.ask("POST", "/containers/x/resize?h=40&w=120")).status).toBe(200);
    expect(server.last).toEqual(["resize", "x", 40, 120]);
    expect((await server.ask("POST", "/containers/x/resize?h=big&w=1")).json).toEqual({
      message: 'invalid resize height "big": strconv.ParseUint: parsing "big": invalid syntax',
    });
  });
});

describe("files", () => {
  test("HEAD, GET and PUT of an archive", async () => {
    const head = await server.ask("HEAD", "/containers/x/archive?path=/etc");
    const stat = Buffer.from(head.headers.get("x-docker-container-path-stat") ?? "", "base64").toString();
    expect(JSON.parse(stat)).toMatchObject({ name: "etc", mode: 0o644 });
    const get = await server.ask("GET", "/containers/x/archive?path=/etc");
    expect(get.headers.get("content-type")).toBe("application/x-tar");
    expect(get.text).toBe("tar bytes");
    await server.ask("PUT", "/containers/x/archive?path=/tmp&noOverwriteDirNonDir=1", "a tar");
    expect(server.last).toEqual([
      "putArchive",
      "x",
      "/tmp",
      "a tar",
      { noOverwriteDirNonDir: true, copyUIDGID: false },
    ]);
    expect((await server.ask("GET", "/containers/x/archive")).json).toEqual({
      message: "bad parameter: pathcannot be empty",
    });
    expect((await server.ask("HEAD", "/containers/x/archive?path=/none")).status).toBe(404);
  });

  test("export and commit", async () => {
    expect((await server.ask("GET", "/containers/x/export")).text).toBe("exported");
    const commit = await server.ask(
      "POST",
      "/commit?container=x&repo=r&tag=t&changes=CMD%20a&changes=USER%20b&pause=0",
      { Env: ["A=b"] },
    );
    expect(commit.status).toBe(201);
    expect(server.last).toEqual([
      "commit",
      "x",
      {
        repo: "r",
        tag: "t",
        comment: "",
        author: "",
        pause: false,
        changes: ["CMD a", "USER b"],
        config: { Env: ["A=b"] },
      },
    ]);
  });
});
