import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { FakeServer } from "./fakes/server.ts";

let server: FakeServer;
beforeAll(() => {
  server = new FakeServer();
});
afterAll(() => server[Symbol.asyncDispose]());

describe("versions", () => {
  test("every version from the oldest to the newest is served, and none is the newest", async () => {
    for (const prefix of ["/v1.24", "/v1.40", "/v1.56", ""]) {
      expect((await server.ask("GET", `${prefix}/_ping`)).text).toBe("OK");
    }
  });
  test("too old", async () => {
    const reply = await server.ask("GET", "/v1.12/containers/json");
    expect(reply.status).toBe(400);
    expect(reply.json).toEqual({
      message:
        "client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version",
    });
  });
  test("too new", async () => {
    const reply = await server.ask("GET", "/v1.99/containers/json");
    expect(reply.status).toBe(400);
    expect(reply.json).toEqual({
      message: "client version 1.99 is too new. Maximum supported API version is 1.56",
    });
  });
});

describe("what every reply has", () => {
  test("headers that clients negotiate with", async () => {
    const { headers } = await server.ask("GET", "/v1.44/version");
    expect(headers.get("api-version")).toBe("1.56");
    expect(headers.get("docker-experimental")).toBe("false");
    expect(headers.get("ostype")).toBe("linux");
    expect(headers.get("server")).toBe("Tug/0.1.0 (linux)");
    expect(headers.get("content-type")).toBe("application/json");
  });
  test("ping has them for GET and HEAD", async () => {
    for (const method of ["GET", "HEAD"]) {
      const reply = await server.ask(method, "/_ping");
      expect(reply.status).toBe(200);
      expect(reply.text).toBe(method === "GET" ? "OK" : "");
      expect(reply.headers.get("api-version")).toBe("1.56");
      expect(reply.headers.get("swarm")).toBe("inactive");
      expect(reply.headers.get("builder-version")).toBe("1");
      expect(reply.headers.get("pragma")).toBe("no-cache");
      expect(reply.headers.get("cache-control")).toBe("no-cache, no-store, must-revalidate");
      expect(reply.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    }
  });
});

describe("what is not there", () => {
  test.each([
    ["GET", "/nothing"],
    ["GET", "/v1.44/containers/x"],
    ["POST", "/containers/json"],
    ["DELETE", "/_ping"],
    ["GET", "/"],
    ["GET", "/v1.44"],
  ])("%s %s is 404 in JSON", async (method, path) => {
    const reply = await server.ask(method, path);
    expect(reply.status).toBe(404);
    expect(reply.json).toEqual({ message: "page not found" });
  });
  test("a path that needs cleaning is redirected, as Go's router does", async () => {
    const reply = await server.ask("GET", "/v1.44/containers//json?all=1");
    expect(reply.status).toBe(301);
    expect(reply.headers.get("location")).toBe("/v1.44/containers/json?all=1");
  });
  test("a node in no swarm says so for every cluster route", async () => {
    for (const [method, path] of [
      ["GET", "/services"],
      ["POST", "/swarm/leave"],
      ["GET", "/nodes/x"],
      ["DELETE", "/secrets/x"],
    ] as const) {
      const reply = await server.ask(method, path);
      expect(reply.status).toBe(503);
      expect(reply.json).toEqual({
        message:
          'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
      });
    }
  });
  test("there are no plugins", async () => {
    expect((await server.ask("GET", "/plugins")).json).toEqual([]);
    expect((await server.ask("GET", "/plugins/a/b:c/json")).json).toEqual({
      message: 'plugin "a/b:c" not found',
    });
  });
});

describe("bad input", () => {
  const create = (body: string, type = "application/json") =>
    server.ask("POST", "/containers/create", body, { "Content-Type": type });
  test.each([
    ["", "invalid JSON: got EOF while reading request body"],
    ["  ", "invalid JSON: got EOF while reading request body"],
    ["{", "invalid JSON: unexpected EOF"],
    ['{"Image"', "invalid JSON: unexpected EOF"],
    ["hello", "invalid JSON: invalid character 'h' looking for beginning of value"],
    ["{a:1}", "invalid JSON: invalid character 'a' looking for beginning of object key string"],
    ['{"a":1,}', "invalid JSON: invalid character '}' looking for beginning of object key string"],
    ['{"a" 1}', "invalid JSON: invalid character '1' after object key"],
    ['{"a":[1 2]}', "invalid JSON: invalid character '2' after array element"],
    ['{"a":tru}', "invalid JSON: invalid character '}' in literal true (expecting 'e')"],
    ['{"Image":"x"}{"b":1}', "unexpected content after JSON"],
    ['{"Image":"x"} trailing', "unexpected content after JSON"],
    ["{}", "config cannot be empty in order to create a container"],
    ["null", "config cannot be empty in order to create a container"],
    ["[]", "invalid JSON: json: cannot unmarshal array into Go value of type struct"],
    [
      '{"Image":5}',
      "invalid JSON: json: cannot unmarshal number into Go struct field CreateRequest.Image of type string",
    ],
    [
      '{"Image":"x","HostConfig":{"Memory":"1g"}}',
      "invalid JSON: json: cannot unmarshal string into Go struct field CreateRequest.HostConfig.Memory of type int64",
    ],
    [
      '{"Image":"x","HostConfig":{"Memory":1.5}}',
      "invalid JSON: json: cannot unmarshal number 1.5 into Go struct field CreateRequest.HostConfig.Memory of type int64",
    ],
  ])("create with %j", async (body, message) => {
    const reply = await create(body);
    expect(reply.json).toEqual({ message });
    expect(reply.status).toBe(400);
  });
  test("content types", async () => {
    expect((await create("{}", "text/plain")).json).toEqual({
      message: "unsupported Content-Type header (text/plain): must be 'application/json'",
    });
    expect((await create('{"Image":"x"}', "application/json; charset=utf-8")).status).toBe(201);
  });
  test("a body as long as one likes is not read into memory", async () => {
    const reply = await create(`{"Image":"${"x".repeat(17 * 1024 * 1024)}"}`);
    expect(reply.status).toBe(400);
  });
  test("deep nesting does not overflow the stack", async () => {
    const reply = await create("[".repeat(1_000_000));
    expect(reply.status).toBe(400);
  });
  test("broken filters, escapes, numbers and times", async () => {
    for (const [path, message] of [
      ["/containers/json?filters=%7B", "invalid filter"],
      ["/containers/json?filters=%7B%22a%22%3A1%7D", "invalid filter"],
      ["/containers/json?all=%zz", 'invalid URL escape "%zz"'],
      ["/containers/json?limit=many", 'strconv.Atoi: parsing "many": invalid syntax'],
      ["/events?since=yesterday", 'strconv.ParseInt: parsing "yesterday": invalid syntax'],
      ["/events?since=20&until=10", "`since` time (20) cannot be after `until` time (10)"],
      ["/containers/x/logs", "Bad parameters: you must choose at least one stream"],
      [
        "/networks/x?verbose=maybe",
        'invalid value for verbose: maybe: strconv.ParseBool: parsing "maybe": invalid syntax',
      ],
      ["/system/df?type=cat", "unknown object type: cat"],
    ] as const) {
      const reply = await server.ask("GET", path);
      expect(reply.json).toEqual({ message });
      expect(reply.status).toBe(400);
    }
  });
});

const endpoints = join(import.meta.dir, "../../../shared/spec/engine-api-endpoints.json");
if (!existsSync(endpoints))
  console.log("route coverage skipped: no list of the API's endpoints beside the project");
test.skipIf(!existsSync(endpoints))("every endpoint of the API document has a route", () => {
  const list = JSON.parse(readFileSync(endpoints, "utf8")) as {
    endpoints: { method: string; path: string }[];
  };
  const served = new Set(
    server.api.routes.map((route) => `${route.method} ${route.path.replaceAll("...}", "}")}`),
  );
  const missing = list.endpoints
    .map(({ method, path }) => `${method} ${path}`)
    .filter((endpoint) => !served.has(endpoint));
  expect(missing).toEqual([]);
});
