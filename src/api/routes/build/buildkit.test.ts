import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { uploadPrefix } from "../../../base/spec/builder/session.ts";
import { BuilderClient, cancelBuild } from "../../../client/build/builder.ts";
import { failureOf, type SolveEvent } from "../../../client/build/events.ts";
import { lendCredentials, lendFiles, lendSecrets, lendUploads } from "../../../client/build/lend.ts";
import { type OutputTarget, takeOutputs } from "../../../client/build/outputs.ts";
import { newBuildId, openSession } from "../../../client/build/session.ts";
import { lendSsh } from "../../../client/build/ssh.ts";
import { Client } from "../../../client/client.ts";
import { FakeBuilder } from "../../fakes/builder.ts";
import { FakeServer } from "../../fakes/server.ts";
import { cancelRoute } from "./builder.ts";
import { buildkitRoutes } from "./buildkit.ts";

let server: FakeServer;
let fake: FakeBuilder;
let client: Client;
let folder: string;

beforeAll(() => {
  fake = new FakeBuilder();
  const kit = buildkitRoutes(fake.deps);
  server = new FakeServer({}, { routes: [...kit.routes, cancelRoute((id) => kit.cancel(id))] });
  client = new Client({ address: { kind: "unix", path: server.socket, text: server.host } });
});
afterAll(async () => {
  client.close();
  await server[Symbol.asyncDispose]();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tug-buildkit-"));
  fake.found = [];
  fake.known = () => false;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const dockerfile = (text: string) => writeFileSync(join(folder, "Dockerfile"), text);

/** One build with everything lent, and what was told of it. */
async function build(
  options: {
    readonly attrs?: Record<string, string>;
    readonly exporters?: readonly { type: string; attrs: Record<string, string> }[];
    readonly outputs?: Record<string, OutputTarget>;
    readonly ref?: string;
    readonly signal?: AbortSignal;
    readonly uploads?: ReadonlyMap<string, AsyncIterable<Uint8Array>>;
  } = {},
) {
  const directories = { context: { path: folder }, dockerfile: { path: folder } };
  await using session = await openSession(client, {
    sharedKey: "folder",
    services: [
      lendFiles({ directories }),
      lendSecrets(async (id) => (id === "token" ? Buffer.from("s3cret") : undefined)),
      lendCredentials(async (host) =>
        host === "registry.test" ? { username: "anna", secret: "pw" } : undefined,
      ),
      ...lendSsh({}),
      takeOutputs(options.outputs ?? {}),
      ...(options.uploads ? [lendUploads(options.uploads)] : []),
    ],
  });
  await using builder = await BuilderClient.open(client);
  const ref = options.ref ?? newBuildId();
  const events: SolveEvent[] = [];
  const watching = (async () => {
    for await (const event of builder.status(ref)) events.push(event);
  })();
  try {
    const response = await builder.solve(
      {
        ref,
        session: session.id,
        frontendAttrs: options.attrs ?? {},
        exporters: [...(options.exporters ?? [{ type: "moby", attrs: { name: "x:y" } }])],
      },
      options.signal,
    );
    await watching;
    return { response, events };
  } finally {
    await watching.catch(() => undefined); // solve's failure is the news
  }
}

const names = (events: readonly SolveEvent[]) => [
  ...new Set(events.flatMap((event) => event.vertexes.map((vertex) => vertex.name))),
];

describe("BuildKit's protocol", () => {
  test("a build gets its files, tells of its steps and gives what the exporter says", async () => {
    mkdirSync(join(folder, "src"));
    writeFileSync(join(folder, "src/main.c"), "int main;", { mode: 0o755 });
    writeFileSync(join(folder, "ignored"), "no");
    symlinkSync("src/main.c", join(folder, "link"));
    dockerfile("FROM scratch\nRUN ok\n");
    const { response, events } = await build({ attrs: { target: "last", "build-arg:A": "1" } });
    expect(response["containerimage.digest"]).toMatch(/^sha256:/);
    expect(names(events)).toEqual([
      "[internal] load build definition from Dockerfile",
      "[internal] load build context",
      "[1/1] RUN ok",
    ]);
    expect(events.flatMap((event) => event.logs.map((log) => Buffer.from(log.data).toString()))).toEqual([
      "output of ok\n",
    ]);
    expect(fake.requests.at(-1)).toMatchObject({
      target: "last",
      buildArgs: { A: "1" },
      outputs: [{ id: "0", type: "image", attributes: { name: "x:y" } }],
    });
    expect(fake.entries.map(({ path, mode, uid, linkname }) => [path, mode, uid, linkname])).toEqual([
      ["Dockerfile", 0o100644, 0, ""],
      ["link", 0o120777, 0, "src/main.c"],
      ["src", 0o040755, 0, ""],
      ["src/main.c", 0o100755, 0, ""],
    ]);
    expect(fake.contents.get("src/main.c")).toBe("int main;");
  });

  test("only what the builder does not know is sent", async () => {
    dockerfile("FROM scratch\n");
    for (let i = 0; i < 300; i++) writeFileSync(join(folder, `file-${i}`), `content ${i}`);
    fake.known = (entry) => entry.path !== "file-7";
    await build();
    expect(fake.entries).toHaveLength(301);
    expect([...fake.contents]).toEqual([["file-7", "content 7"]]);
  });

  test("secrets, credentials and agents are asked for by name; what the client has not is nothing", async () => {
    dockerfile(
      "FROM scratch\nRUN secret token\nRUN secret other\nRUN credentials registry.test\nRUN credentials other\nRUN ssh default\n",
    );
    await build();
    expect(fake.found).toEqual([
      "token=s3cret",
      "other=",
      'registry.test={"username":"anna","secret":"pw"}',
      "other=undefined",
      "ssh=false",
    ]);
  });

  test("a failed step comes with its vertex and its lines", async () => {
    dockerfile("FROM scratch\n\nRUN fail\n");
    const error = await build().catch((thrown: unknown) => thrown);
    const message = 'process "/bin/sh -c fail" did not complete successfully: exit code: 1';
    expect(error).toMatchObject({ message, status: 2 });
    expect(failureOf(error)).toMatchObject({
      vertex: expect.stringMatching(/^sha256:/),
      sources: [{ file: "Dockerfile", text: "FROM scratch\n\nRUN fail\n", ranges: [{ start: 3, end: 3 }] }],
    });
  });

  test("a tree and a file come out at the client, as their exporters are numbered", async () => {
    dockerfile("FROM scratch\n");
    fake.tree = join(folder, "tree");
    mkdirSync(join(fake.tree, "d"), { recursive: true, mode: 0o755 });
    writeFileSync(join(fake.tree, "d/f"), "inside");
    symlinkSync("d/f", join(fake.tree, "l"));
    let tar = "";
    await build({
      exporters: [
        { type: "local", attrs: {} },
        { type: "tar", attrs: {} },
      ],
      outputs: {
        "0": { kind: "directory", path: join(folder, "out") },
        "1": {
          kind: "file",
          write: async (bytes, attributes) => {
            for await (const piece of bytes) tar += Buffer.from(piece).toString();
            tar += JSON.stringify(attributes);
          },
        },
      },
    });
    expect(readFileSync(join(folder, "out/l"), "utf8")).toBe("inside");
    expect(tar).toBe('bytes of a tar{"containerimage.digest":"x"}');
  });

  test("what the client uploads is the context", async () => {
    const body = (async function* () {
      yield Buffer.from("FROM scratch\nRUN uploaded\n");
    })();
    const { events } = await build({
      attrs: { context: `${uploadPrefix}key` },
      uploads: new Map([["key", body]]),
    });
    expect(names(events)).toEqual(["[1/1] RUN uploaded"]);
  });

  test("a build is cancelled by its client's going, by its call's end and by its ref", async () => {
    dockerfile("FROM scratch\nRUN wait\n");
    const before = fake.cancelled;
    const abort = new AbortController();
    const [first, second] = [newBuildId(), newBuildId()];
    const called = build({ ref: first, signal: abort.signal }).catch((thrown: unknown) => thrown);
    await waiting(first);
    abort.abort(new Error("enough"));
    expect(await called).toMatchObject({ code: "cancelled" });
    const named = build({ ref: second }).catch((thrown: unknown) => thrown);
    await waiting(second);
    await cancelBuild(client, second);
    expect(await named).toMatchObject({ code: "cancelled", message: "context canceled" });
    expect(fake.cancelled).toBe(before + 2);
  });

  test("who asks late is told everything from the beginning", async () => {
    dockerfile("FROM scratch\nRUN ok\n");
    const ref = newBuildId();
    await build({ ref });
    await using builder = await BuilderClient.open(client);
    const late: SolveEvent[] = [];
    for await (const event of builder.status(ref)) late.push(event);
    expect(names(late)).toHaveLength(3);
    expect(late.flatMap((event) => event.logs)).toHaveLength(1);
    expect(late.flatMap((event) => event.vertexes).every((vertex) => vertex.completed !== undefined)).toBe(
      true,
    );
  });

  test("a frontend answers questions through the gateway, and nothing is built", async () => {
    dockerfile("FROM scratch\nRUN fail\n");
    const directories = { dockerfile: { path: folder }, context: { path: folder } };
    await using session = await openSession(client, { services: [lendFiles({ directories })] });
    await using builder = await BuilderClient.open(client);
    const ask = (request: string) =>
      builder.ask(request, { ref: newBuildId(), session: session.id, frontendAttrs: {} });
    const answer = await ask("frontend.lint");
    expect(Buffer.from(answer["result.txt"] ?? []).toString()).toBe("check: 22 characters\n");
    await expect(ask("frontend.nonsense")).rejects.toMatchObject({
      message: "unsupported request frontend.nonsense",
    });
  });

  test("orders that mean nothing are refused with their reason", async () => {
    dockerfile("FROM scratch\n");
    await using builder = await BuilderClient.open(client);
    const solve = (fields: object) => builder.solve({ ref: newBuildId(), ...fields });
    await expect(solve({ frontend: "mine.v0" })).rejects.toThrow('unknown frontend "mine.v0"');
    await expect(
      solve({ frontend: "gateway.v0", frontendAttrs: { source: "other/frontend" } }),
    ).rejects.toThrow("other/frontend: a fake has no frontends");
    await expect(solve({ frontend: "gateway.v0" })).rejects.toThrow("needs an image as its source");
    await expect(solve({ frontendAttrs: { "add-hosts": "nothing" } })).rejects.toThrow("invalid add-hosts");
    await expect(solve({ exporters: [{ type: "zip", attrs: {} }] })).rejects.toThrow(
      'exporter "zip" could not be found',
    );
    await expect(build({ attrs: { platform: "a/b/c/d" } })).rejects.toThrow("cannot parse platform");
  });

  test("the cache's records are listed and pruned, and the worker presents itself", async () => {
    const record = { id: "r1", parents: ["p"], type: "regular", description: "RUN x", inUse: false };
    fake.usage = [{ ...record, shared: true, mutable: false, size: 42, created: 1000, used: 2000, uses: 3 }];
    await using builder = await BuilderClient.open(client);
    expect(await builder.diskUsage()).toMatchObject([
      { id: "r1", size: 42n, usageCount: 3n, parents: ["p"] },
    ]);
    const removed: string[] = [];
    for await (const { id } of builder.prune({ all: true, keepDuration: 5n })) removed.push(id);
    expect(removed).toEqual(["r1"]);
    expect(fake.pruned.at(-1)).toMatchObject({ all: true, keepDuration: 5n });
    expect((await builder.workers())[0]?.platforms).toMatchObject([{ architecture: "amd64", os: "linux" }]);
    expect((await builder.version())?.version).toBe("v0.13.0");
  });

  test("a connection that asks for another protocol, or none, is refused", async () => {
    expect((await server.ask("POST", "/grpc")).json).toEqual({ message: "no upgrade proto in request" });
    const headers = { Connection: "Upgrade", Upgrade: "websocket" };
    expect((await server.ask("POST", "/session", undefined, headers)).json).toEqual({
      message: "protocol websocket not supported",
    });
    const h2c = { Connection: "Upgrade", Upgrade: "h2c" };
    expect((await server.ask("POST", "/session", undefined, h2c)).json).toEqual({
      message: "invalid session: it has no ID",
    });
  });
});

/** Until the step that waits has begun. */
async function waiting(ref: string): Promise<void> {
  await using builder = await BuilderClient.open(client);
  for await (const event of builder.status(ref)) {
    if (event.logs.some((log) => Buffer.from(log.data).includes("output of wait"))) return;
  }
  throw new Error("the build ended");
}
