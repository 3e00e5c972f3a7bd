import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../base/lib/clock.ts";
import { messageOf } from "../../../base/lib/errors.ts";
import type { Digest } from "../../../base/lib/ids.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import type { HttpSource } from "../../graph.ts";
import { sessionOf, stepOf, TestSteps } from "../testdata/steps.ts";
import { HttpRunner } from "./http.ts";
import { httpFileName } from "./http-name.ts";
import { HttpStore } from "./http-store.ts";

let steps: TestSteps;
let runner: HttpRunner;
let store: HttpStore;
let content = "";
let asked: string[] = [];
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch(request) {
    const { pathname } = new URL(request.url);
    asked.push(`${pathname} ${request.headers.get("if-none-match") ?? ""}`.trim());
    const etag = `"${content}"`;
    if (pathname === "/moved") return Response.redirect("/file", 302);
    if (pathname === "/file-url")
      return new Response(null, { status: 302, headers: { location: "file:///etc/shadow" } });
    if (pathname === "/loop") return Response.redirect("/loop", 307);
    if (pathname === "/private") return new Response(request.headers.get("authorization"), { status: 200 });
    if (pathname === "/endless")
      return new Response(
        new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
        }),
      );
    if (pathname !== "/file") return new Response("no", { status: 404 });
    if (request.headers.get("if-none-match") === etag)
      return new Response(null, { status: 304, headers: { etag } });
    const headers = { etag, "last-modified": "Wed, 21 Oct 2015 07:28:00 GMT" };
    return new Response(content, { headers });
  },
});

beforeAll(async () => {
  steps = await TestSteps.open();
});
afterAll(async () => {
  await server.stop(true);
  await steps[Symbol.asyncDispose]();
});
beforeEach(() => {
  content = "one";
  asked = [];
  store = new HttpStore({ root: join(steps.root, "http"), clock: systemClock, sizeLimit: 1 << 20 });
  runner = new HttpRunner({ store, snapshots: steps.snapshots });
});

function step(path: string, more: Partial<HttpSource> = {}) {
  const url = path.startsWith("/") ? `${server.url.origin}${path}` : path;
  const op: HttpSource = { kind: "http", url, filename: "", checksum: undefined, ...more };
  return stepOf(op, [], { session: sessionOf({ signal: new AbortController().signal }) });
}

test("a file is a tree with it alone, private and as old as the server says, and is sent again only when it changed", async () => {
  const first = step("/file");
  const key = await runner.key(first);
  steps.look(await runner.snapshot(first), (root) => {
    expect(readdirSync(root)).toEqual(["file"]);
    const stat = statSync(join(root, "file"));
    expect([stat.mode & 0o7777, stat.mtimeMs]).toEqual([0o600, Date.parse("2015-10-21T07:28:00Z")]);
  });
  expect(asked).toEqual(["/file"]);
  expect(await runner.key(step("/file"))).toBe(key);
  expect(asked.at(-1)).toBe('/file "one"');
  content = "two";
  const third = step("/moved", { filename: "named" });
  expect(await runner.key(third)).not.toBe(key);
  steps.look(await runner.snapshot(third), (root) =>
    expect(readFileSync(join(root, "named"), "utf8")).toBe("two"),
  );
  expect(store.list().length).toBe(2);
});

test("a kept file that is not whole is fetched anew", async () => {
  await runner.key(step("/file"));
  truncateSync(store.path(digestOf("one")), 1);
  const again = step("/file");
  await runner.key(again);
  steps.look(await runner.snapshot(again), (root) =>
    expect(readFileSync(join(root, "file"), "utf8")).toBe("one"),
  );
});

test("a checksum spares the question, and another content is refused", async () => {
  const right = step("/file", { checksum: digestOf("one"), filename: "f" });
  await runner.key(right);
  expect(asked).toEqual([]);
  steps.look(await runner.snapshot(right), (root) => expect(readdirSync(root)).toEqual(["f"]));
  const wrong = step("/file", { checksum: digestOf("other") as Digest });
  expect(await runner.snapshot(wrong).catch(messageOf)).toBe(
    `digest mismatch for ${server.url.origin}/file: ${digestOf("one")} (expected: ${digestOf("other")})`,
  );
});

test("nothing but http is followed, redirects end, and no file is larger than allowed", async () => {
  const key = (path: string) => runner.key(step(path)).then(() => "it went well", messageOf);
  expect(await key("/missing")).toBe("invalid response status 404");
  expect(await key("/file-url")).toContain("is no http or https URL");
  expect(await key("file:///etc/shadow")).toContain("is no http or https URL");
  expect(await key("/loop")).toBe("stopped after 10 redirects");
  expect(await key("/endless")).toContain("has more than 1048576 bytes");
  expect(await key("http://127.0.0.1:1/x")).toBe(
    'Get "http://127.0.0.1:1/x": dial tcp 127.0.0.1:1: connect: connection refused',
  );
  expect(readdirSync(join(steps.root, "http/blobs")).filter((name) => name.endsWith(".part"))).toEqual([]);
});

test("credentials in a URL are sent as a header", async () => {
  const url = server.url.href.replace("//", "//me:s%40cret@");
  const made = step(`${url}private`);
  await runner.key(made);
  steps.look(await runner.snapshot(made), (root) => {
    expect(readFileSync(join(root, "private"), "utf8")).toBe(`Basic ${btoa("me:s@cret")}`);
  });
});

test("secrets for a host are sent to it alone, a token before a header, and both before what the URL says", async () => {
  const seen: (string | null)[] = [];
  await using other = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      seen.push(request.headers.get("authorization"));
      return new Response("moved");
    },
  });
  await using first = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      seen.push(request.headers.get("authorization"));
      const away = new URL(request.url).pathname === "/away";
      return away ? Response.redirect(other.url.href, 302) : new Response("here");
    },
  });
  const ask = async (path: string, secrets: Readonly<Record<string, string>>) => {
    seen.length = 0;
    const found = async (id: string) => (secrets[id] === undefined ? undefined : Buffer.from(secrets[id]));
    const session = sessionOf({ signal: new AbortController().signal, secret: found });
    const url = first.url.href.replace("//", "//me:mine@");
    const op: HttpSource = { kind: "http", url: `${url}${path}`, filename: "f", checksum: undefined };
    const failed = await runner.key(stepOf(op, [], { session })).then(() => undefined, messageOf);
    return failed ?? [...seen];
  };
  const [token, header] = ["HTTP_AUTH_TOKEN_127.0.0.1", "HTTP_AUTH_HEADER_127.0.0.1"];
  expect(await ask("x", {})).toEqual([`Basic ${btoa("me:mine")}`]);
  expect(await ask("x", { [header]: "Basic abc\n" })).toEqual(["Basic abc"]);
  expect(await ask("x", { [header]: "Basic abc", [token]: "t" })).toEqual(["Bearer t"]);
  expect(await ask("away", { [token]: "t" })).toEqual(["Bearer t", null]);
  expect(await ask("x", { [token]: "t\nX: y" })).toBe(`the secret ${token} has more than one line`);
});

test("a download that is cancelled ends and leaves nothing", async () => {
  const stop = new AbortController();
  const running = store.fetch(`${server.url.origin}/endless`, {
    signal: stop.signal,
    progress: { log: () => undefined, part: () => stop.abort(new Error("stopped")) },
  });
  expect(await running.catch(messageOf)).toBe("stopped");
  expect(readdirSync(join(steps.root, "http/blobs")).filter((name) => name.endsWith(".part"))).toEqual([]);
});

test("names of files come from the header or the path, and are one component", () => {
  expect(httpFileName("http://h/a/b.tar?x=1", null)).toBe("b.tar");
  expect(httpFileName("http://h/a%20b", null)).toBe("a b");
  expect(httpFileName("http://h/", null)).toBe("download");
  expect(httpFileName("http://h/..%2f..%2fetc%2fpasswd", null)).toBe("passwd");
  expect(httpFileName("http://h/a", 'attachment; filename="../../x y.txt"')).toBe("x y.txt");
  expect(httpFileName("http://h/a", "attachment; filename=..")).toBe("a");
});
