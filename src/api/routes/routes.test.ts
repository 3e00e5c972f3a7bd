import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { FakeServer } from "../fakes/server.ts";

let server: FakeServer;
beforeAll(() => {
  server = new FakeServer();
});
afterAll(() => server[Symbol.asyncDispose]());

const auth = (value: object | string) => ({
  "X-Registry-Auth": Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString(
    "base64url",
  ),
});

describe("images", () => {
  test("the list has the fields of its version", async () => {
    const at = async (version: string) =>
      ((await server.ask("GET", `/v${version}/images/json`)).json as Record<string, unknown>[])[0];
    expect(await at("1.42")).toMatchObject({
      RepoTags: ["<none>:<none>"],
      RepoDigests: ["<none>@<none>"],
      VirtualSize: 1000,
      Containers: -1,
    });
    expect(await at("1.56")).toMatchObject({ RepoTags: [], Containers: 2 });
    expect(await at("1.56")).not.toHaveProperty("VirtualSize");
  });
  test("names may have slashes, tags, digests and a port", async () => {
    for (const name of ["busybox", "a/b/c:tag", "host:5000/x", "localhost:5000/a/b@sha256:abc"]) {
      await server.ask("GET", `/images/${name}/json`);
      expect(server.last?.[1]).toBe(name);
    }
    await server.ask("GET", "/images/a%2Fb/json");
    expect(server.last?.[1]).toBe("a/b");
  });
  test("inspect of old versions has their fields", async () => {
    const old = (await server.ask("GET", "/v1.43/images/busybox/json")).json;
    expect(old).toMatchObject({
      VirtualSize: 1000,
      Container: "",
      ContainerConfig: { Cmd: ["sh"] },
      Parent: "",
    });
    expect(old).toMatchObject({ Config: { Hostname: "", Env: null, Cmd: ["sh"] } });
    const middle = (await server.ask("GET", "/v1.51/images/busybox/json")).json as { Config: object };
    expect(middle.Config).not.toHaveProperty("Hostname");
    expect((await server.ask("GET", "/v1.56/images/busybox/json")).json).toMatchObject({
      Config: { Cmd: ["sh"] },
    });
  });
  test("platforms are JSON", async () => {
    const platform = encodeURIComponent('{"os":"linux","architecture":"arm","variant":"v7"}');
    await server.ask("GET", `/images/x/json?platform=${platform}`);
    expect(server.last?.[2]).toEqual({ manifests: false, platform: "linux/arm/v7" });
    expect((await server.ask("GET", `/images/x/json?manifests=1&platform=${platform}`)).status).toBe(400);
    expect((await server.ask("GET", "/images/x/json?platform=arm")).status).toBe(400);
    expect(
      (await server.ask("GET", `/v1.51/images/get?names=a&platform=${platform}&platform=${platform}`)).json,
    ).toEqual({
      message:
        "multiple platform parameters are not supported in this API version; use API version 1.52 or later",
    });
  });
  test("pull streams progress and joins name and tag", async () => {
    const credentials = { username: "me", password: "secret", serveraddress: "r" };
    const reply = await server.ask(
      "POST",
      "/images/create?fromImage=busybox&tag=latest&platform=linux/arm64",
      undefined,
      auth(credentials),
    );
    expect(
      reply.text
        .trim()
        .split("\r\n")
        .map((line) => JSON.parse(line)),
    ).toHaveLength(2);
    expect(server.last).toEqual([
      "pull",
      "busybox:latest",
      { platform: "linux/arm64", auth: credentials, allTags: false, explain: false },
    ]);
    await server.ask("POST", `/images/create?fromImage=busybox&tag=sha256:${"a".repeat(64)}`);
    expect(server.last?.[1]).toBe(`busybox@sha256:${"a".repeat(64)}`);
    await server.ask("POST", "/images/create?fromImage=host:5000/busybox");
    expect(server.last?.slice(1)).toMatchObject(["host:5000/busybox", { allTags: true }]);
    await server.ask("POST", "/images/create?fromImage=busybox&tag=1&explain=1");
    expect(server.last?.[2]).toMatchObject({ explain: true });
  });
  test("a pull that fails at once is an HTTP error, one that fails later a last line", async () => {
    const missing = await server.ask("POST", "/images/create?fromImage=missing&tag=latest");
    expect(missing.status).toBe(404);
    const broken = await server.ask("POST", "/images/create?fromImage=broken&tag=latest");
    expect(broken.status).toBe(200);
    expect(JSON.parse(broken.text.trim().split("\r\n").at(-1) ?? "")).toEqual({
      errorDetail: { message: "layer digest mismatch" },
      error: "layer digest mismatch",
    });
  });
  test("credentials that cannot be read are refused", async () => {
    for (const value of ["{", "[1]", '"x"', '{"username":5}']) {
      expect((await server.ask("POST", "/images/x/push?tag=a", undefined, auth(value))).status).toBe(400);
    }
    expect((await server.ask("POST", "/images/x/push", undefined, { "X-Registry-Auth": "%%%" })).status).toBe(
      400,
    );
    expect((await server.ask("POST", "/images/x/push", undefined, auth("{}"))).status).toBe(200);
  });
  test("import reads the body or fetches an address", async () => {
    await server.ask("POST", "/images/create?fromSrc=-&repo=r&tag=t&changes=CMD%20x", "tar bytes");
    expect(server.last).toEqual([
      "import",
      "tar bytes",
      { repo: "r", tag: "t", message: "Imported from -", changes: ["CMD x"], platform: undefined },
    ]);
    using web = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("from the web") });
    const reply = await server.ask("POST", `/images/create?fromSrc=127.0.0.1:${web.port}/x.tar`);
    expect(reply.text).toContain("Downloading from http://127.0.0.1");
    expect(server.last?.[1]).toBe("from the web");
    const refused = await server.ask("POST", "/images/create?fromSrc=http://127.0.0.1:1/x");
    expect(refused.status).toBe(500);
  });
  test("load streams a large body", async () => {
    await server.ask("POST", "/images/load?quiet=0", "x".repeat(5_000_000), {
      "Content-Type": "application/x-tar",
    });
    expect(server.last).toEqual(["load", 5_000_000, { quiet: false, platforms: [] }]);
  });
  test("a broken archive is told in the stream, as dockerd does", async () => {
    const reply = await server.ask("POST", "/images/load", "garbage", {
      "Content-Type": "application/x-tar",
    });
    expect([reply.status, reply.json]).toEqual([
      200,
      { errorDetail: { message: "unexpected EOF" }, error: "unexpected EOF" },
    ]);
  });
  test("save, tag, remove, history, search, attestations", async () => {
    expect((await server.ask("GET", "/images/get?names=a&names=b")).text).toBe("saved");
    expect(server.last?.[1]).toEqual(["a", "b"]);
    expect((await server.ask("GET", "/images/a/b/get")).headers.get("content-type")).toBe(
      "application/x-tar",
    );
    expect((await server.ask("POST", "/images/a/b:1/tag?repo=host:5000/x&tag=2")).status).toBe(201);
    expect(server.last).toEqual(["tag", "a/b:1", "host:5000/x", "2"]);
    expect((await server.ask("DELETE", "/images/a/b?force=1&noprune=1")).json).toEqual([
      { Untagged: "busybox:latest" },
    ]);
    expect((await server.ask("GET", "/images/a/history")).json).toEqual([]);
    expect((await server.ask("GET", "/images/search?term=x&limit=abc")).status).toBe(400);
    expect((await server.ask("GET", "/images/a/attestations")).json).toEqual([]);
  });
});

describe("exec", () => {
  test("create needs a command and a running container", async () => {
    const id = ((await server.ask("POST", "/containers/create", { Image: "x" })).json as { Id: string }).Id;
    expect((await server.ask("POST", `/containers/${id}/exec`, { Cmd: [] })).json).toEqual({
      message: "No exec command specified",
    });
    expect((await server.ask("POST", `/containers/${id}/exec`, { Cmd: ["a"] })).status).toBe(409);
    await server.ask("POST", `/containers/${id}/start`);
    const reply = await server.ask("POST", `/containers/${id}/exec`, {
      Cmd: ["a"],
      Tty: true,
      ConsoleSize: [24, 80],
    });
    expect(reply.status).toBe(201);
    expect(server.last?.[2]).toEqual({ Cmd: ["a"], Tty: true, ConsoleSize: [24, 80] });
    const exec = (reply.json as { Id: string }).Id;
    expect((await server.ask("POST", `/exec/${exec}/start`, { Detach: true })).status).toBe(200);
    expect((await server.ask("GET", `/exec/${exec}/json`)).json).toMatchObject({
      ExitCode: 0,
      ContainerID: id,
    });
    expect((await server.ask("POST", `/exec/${exec}/resize?h=1&w=2`)).status).toBe(200);
  });
  test("an unknown exec is 404 in JSON", async () => {
    const reply = await server.ask("POST", "/exec/none/start", { Detach: false });
    expect([reply.status, reply.json]).toEqual([404, { message: "No such exec instance: none" }]);
  });
});

describe("volumes and networks", () => {
  test("volumes", async () => {
    expect((await server.ask("GET", "/volumes")).json).toEqual({ Volumes: [], Warnings: [] });
    const made = await server.ask("POST", "/volumes/create", { Name: "v", Labels: { a: "b" } });
    expect(made.status).toBe(201);
    expect(server.last).toEqual(["volumeCreate", { Name: "v", Labels: { a: "b" } }]);
    expect((await server.ask("POST", "/volumes/create")).status).toBe(201);
    expect((await server.ask("GET", "/volumes/missing")).status).toBe(404);
    expect((await server.ask("DELETE", "/volumes/v?force=1")).status).toBe(204);
    expect((await server.ask("PUT", "/volumes/v?version=1", {})).status).toBe(503);
    await server.ask("POST", "/v1.41/volumes/prune");
    expect(server.last).toEqual(["volumePrune", { all: ["true"] }]);
    await server.ask("POST", "/v1.42/volumes/prune");
    expect(server.last).toEqual(["volumePrune", {}]);
  });
  test("networks", async () => {
    const made = await server.ask("POST", "/networks/create", {
      Name: "n",
      IPAM: { Config: [{ Subnet: "10.0.0.0/8" }] },
      EnableIPv4: false,
    });
    expect(made.status).toBe(201);
    expect(server.last).toEqual([
      "networkCreate",
      { Name: "n", IPAM: { Config: [{ Subnet: "10.0.0.0/8" }] }, EnableIPv4: false },
    ]);
    await server.ask("POST", "/networks/n/connect", { Container: "c", EndpointConfig: { Aliases: ["a"] } });
    expect(server.last).toEqual(["networkConnect", "n", "c", { Aliases: ["a"] }]);
    await server.ask("POST", "/networks/n/disconnect", { Container: "c", Force: true });
    expect(server.last).toEqual(["networkDisconnect", "n", "c", { force: true }]);
    expect((await server.ask("DELETE", "/networks/n")).status).toBe(204);
    const list = (await server.ask("GET", "/v1.40/networks")).json as object[];
    expect(list[0]).not.toHaveProperty("EnableIPv4");
    expect((await server.ask("POST", "/networks/create")).status).toBe(400);
  });
});

describe("system", () => {
  test("info has the fields of its version", async () => {
    expect((await server.ask("GET", "/v1.56/info")).json).toMatchObject({
      FirewallBackend: { Driver: "nftables" },
    });
    const old = (await server.ask("GET", "/v1.48/info")).json;
    expect(old).not.toHaveProperty("FirewallBackend");
    expect(old).toMatchObject({ BridgeNfIptables: false, RuncCommit: { ID: "abc", Expected: "abc" } });
  });
  test("events come a line each, with the old fields until 1.52", async () => {
    const lines = async (version: string) =>
      (await server.ask("GET", `/v${version}/events?since=1&until=2000000000.5`)).text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
    expect(await lines("1.45")).toMatchObject([{ status: "start", id: "c1", from: "busybox" }]);
    const newest = await lines("1.56");
    expect(newest).toHaveLength(2);
    expect(newest[1]).not.toHaveProperty("status");
    expect(server.last).toEqual([
      "events",
      { since: 1_000_000_000n, until: 2_000_000_000_500_000_000n, filters: {} },
    ]);
  });
  test("events come in the format that was asked for", async () => {
    const ask = (accept: string) =>
      server.ask("GET", "/events?until=2000000000", undefined, { Accept: accept });
    expect((await ask("*/*")).headers.get("content-type")).toBe("application/json");
    expect((await ask("application/x-ndjson")).headers.get("content-type")).toBe("application/x-ndjson");
    const sequence = await ask("application/json-seq");
    expect(sequence.headers.get("content-type")).toBe("application/json-seq");
    expect(sequence.text).toStartWith("\x1e{");
  });
  test("an event stream ends in the backend when the client goes away", async () => {
    const abort = new AbortController();
    const reply = await fetch("http://d/events", { unix: server.socket, signal: abort.signal });
    await reply.body?.getReader().read();
    abort.abort();
    while (server.last?.[0] !== "events over") await new Promise((resolve) => setImmediate(resolve));
  });
  test("disk usage has its lists at the top until 1.52", async () => {
    expect((await server.ask("GET", "/v1.41/system/df")).json).toEqual({
      Images: [{ Id: "i" }],
      LayersSize: 5,
      BuilderSize: 0,
    });
    expect((await server.ask("GET", "/system/df?verbose=true&type=image")).json).toEqual({
      ImageUsage: { TotalSize: 5, TotalCount: 1, Items: [{ Id: "i" }] },
    });
    expect(server.last).toEqual(["diskUsage", ["image"], { verbose: true }]);
  });
  test("login and distribution", async () => {
    expect((await server.ask("POST", "/auth", { username: "a", password: "b" })).json).toEqual({
      Status: "Login Succeeded",
    });
    expect((await server.ask("POST", "/auth", { password: "wrong" })).status).toBe(401);
    await server.ask("GET", "/distribution/host:5000/a/b:c/json");
    expect(server.last?.[1]).toBe("host:5000/a/b:c");
  });
});

describe("secrets and checkpoints", () => {
  test("without a backend they answer as a plain dockerd", async () => {
    expect((await server.ask("GET", "/secrets")).status).toBe(503);
    const reply = await server.ask("POST", "/containers/x/checkpoints", { CheckpointID: "a" });
    expect(reply.status).toBe(501);
    expect(reply.text).toContain("This experimental feature is disabled by default");
  });

  test("with one they reach it", async () => {
    const calls: unknown[] = [];
    const log =
      (name: string) =>
      async (...values: unknown[]) => {
        calls.push([name, ...values]);
      };
    await using own = new FakeServer({
      secrets: {
        list: async (filters) => {
          calls.push(["list", filters]);
          return [];
        },
        create: async (spec) => {
          calls.push(["create", spec]);
          return { ID: "s1" };
        },
        inspect: async () => ({ ID: "s1" }),
        remove: log("remove"),
        update: log("update"),
      },
      checkpoints: {
        create: log("checkpoint"),
        list: async () => [{ Name: "a" }],
        remove: log("uncheckpoint"),
      },
    });
    expect((await own.ask("GET", "/secrets")).json).toEqual([]);
    const made = await own.ask("POST", "/secrets/create", { Name: "n", Data: "eA==", Labels: { a: "b" } });
    expect([made.status, made.json]).toEqual([201, { ID: "s1" }]);
    expect((await own.ask("DELETE", "/secrets/s1")).status).toBe(204);
    expect((await own.ask("POST", "/secrets/s1/update", {})).status).toBe(400);
    expect((await own.ask("POST", "/secrets/s1/update?version=3", { Name: "n" })).status).toBe(200);
    expect((await own.ask("GET", "/services")).status).toBe(503);
    const body = { CheckpointID: "a", CheckpointDir: "/d", Exit: true };
    expect((await own.ask("POST", "/containers/x/checkpoints", body)).status).toBe(201);
    expect((await own.ask("GET", "/containers/x/checkpoints?dir=/d")).json).toEqual([{ Name: "a" }]);
    expect((await own.ask("DELETE", "/containers/x/checkpoints/a?dir=/d")).status).toBe(204);
    expect(calls).toEqual([
      ["list", {}],
      ["create", { Name: "n", Data: "eA==", Labels: { a: "b" } }],
      ["remove", "s1"],
      ["update", "s1", 3, { Name: "n" }],
      ["checkpoint", "x", { name: "a", directory: "/d", exit: true }],
      ["uncheckpoint", "x", "a", "/d"],
    ]);
  });
});
