import { describe, expect, test } from "bun:test";
import { parseReference } from "../../../base/spec/docker/reference.ts";
import { failed, setUp } from "../testdata/client-bench.ts";
import { FakeRegistry } from "../testdata/fake-registry.ts";

describe("authentication", () => {
  const basic = `Basic ${Buffer.from("user:secret").toString("base64")}`;

  test("a token is fetched once for a pull and renewed when it has ended", async () => {
    await using at = setUp();
    using tokens = new FakeRegistry();
    at.registry.addImage("app", "1", ["one", "two"]);
    let issued = 0;
    tokens.intercept = (request, url) => {
      expect(url.searchParams.get("service")).toBe("registry.test");
      expect(url.searchParams.getAll("scope")).toEqual(["repository:app:pull"]);
      expect(url.searchParams.get("account")).toBe("user");
      if (request.headers.get("authorization") !== basic) {
        return Response.json(
          { errors: [{ code: "UNAUTHORIZED", message: "incorrect username or password" }] },
          { status: 401 },
        );
      }
      return Response.json({ token: `token-${++issued}`, expires_in: 300 });
    };
    at.registry.intercept = (request, url) => {
      if (
        url.pathname === "/v2/" ||
        request.headers.get("authorization") !== `Bearer token-${issued}` ||
        issued === 0
      ) {
        return new Response("{}", {
          status: 401,
          headers: { "WWW-Authenticate": `Bearer realm="${tokens.origin}/token",service="registry.test"` },
        });
      }
      return undefined;
    };
    const ref = at.registry.ref("app:1");
    const auth = { username: "user", password: "secret" };
    const image = await at.client.resolve(ref, { auth });
    for (const layer of image.layers) await at.client.fetch(ref, layer, { auth });
    expect(issued).toBe(1);
    at.clock.skip(400_000);
    await at.client.fetch(ref, image.config, { auth });
    expect(issued).toBe(2);
    const wrong = await failed(at.client.resolve(ref, { auth: { username: "user", password: "wrong" } }));
    expect(wrong.code).toBe("unauthorized");
    expect(wrong.message).toBe(
      `Head "${at.registry.origin}/v2/app/manifests/1": unauthorized: incorrect username or password (log in with: tug login ${at.registry.host})`,
    );
  });

  test("a refused scope is access denied, in dockerd's words", async () => {
    await using at = setUp();
    using tokens = new FakeRegistry();
    tokens.intercept = () => Response.json({ access_token: "t" });
    at.registry.intercept = () =>
      new Response("{}", {
        status: 401,
        headers: {
          "WWW-Authenticate": `Bearer realm="${tokens.origin}/",service="s",scope="repository:app:pull",error="insufficient_scope"`,
        },
      });
    expect((await failed(at.client.resolve(at.registry.ref("app:1"), {}))).message).toBe(
      `pull access denied for ${at.registry.host}/app, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`,
    );
    expect(tokens.requests.length).toBeLessThanOrEqual(2);
  });

  test("an identity token is posted as a refresh token", async () => {
    await using at = setUp();
    using tokens = new FakeRegistry();
    at.registry.addImage("app", "1", ["one"]);
    let form: URLSearchParams | undefined;
    tokens.intercept = async (request) => {
      form = new URLSearchParams(await request.text());
      return Response.json({ access_token: "good" });
    };
    at.registry.intercept = (request) =>
      request.headers.get("authorization") === "Bearer good"
        ? undefined
        : new Response("", {
            status: 401,
            headers: { "WWW-Authenticate": `Bearer realm="${tokens.origin}/token"` },
          });
    await at.client.resolve(at.registry.ref("app:1"), { auth: { identitytoken: "refresh-me" } });
    expect(tokens.lines(/./)).toEqual(["POST /token"]);
    expect(Object.fromEntries(form ?? [])).toEqual({
      grant_type: "refresh_token",
      refresh_token: "refresh-me",
      client_id: "docker",
      scope: "repository:app:pull",
    });
  });

  test("a redirect to another host does not carry credentials", async () => {
    await using at = setUp();
    using storage = new FakeRegistry();
    const blob = at.registry.addBlob("layer");
    storage.intercept = () => new Response("layer");
    at.registry.intercept = (request, url) => {
      if (request.headers.get("authorization") !== basic) {
        return new Response("", { status: 401, headers: { "WWW-Authenticate": 'Basic realm="x"' } });
      }
      if (!url.pathname.includes("/blobs/")) return undefined;
      return new Response("", { status: 307, headers: { Location: `${storage.origin}/data?X-Signature=1` } });
    };
    await at.client.fetch(at.registry.ref("app"), blob, { auth: { username: "user", password: "secret" } });
    expect(storage.requests).toHaveLength(1);
    expect(storage.requests[0]?.headers.get("authorization")).toBeNull();
    expect(at.content.stat(blob.digest)).toBeDefined();
  });

  test("redirects without end, or to something that is not HTTP, fail", async () => {
    await using at = setUp();
    const blob = at.registry.addBlob("layer");
    for (const location of ["/v2/app/blobs/again", "file:///etc/passwd", "http://["]) {
      at.registry.intercept = (_, url) =>
        url.pathname === "/v2/"
          ? undefined
          : new Response("", { status: 302, headers: { Location: location } });
      expect((await failed(at.client.fetch(at.registry.ref("app"), blob, {}))).code).toBe("unavailable");
    }
  });

  test("credentials given for the registry are not sent to a mirror", async () => {
    using mirror = new FakeRegistry();
    await using at = setUp({ mirrors: [mirror.origin] });
    mirror.addImage("library/busybox", "latest", ["one"]);
    const image = await at.client.resolve(parseReference("busybox:latest"), {
      auth: { username: "user", password: "secret" },
    });
    await at.client.fetch(parseReference("busybox"), image.config, {});
    expect(mirror.requests.every((each) => each.headers.get("authorization") === null)).toBe(true);
    expect(at.content.stat(image.config.digest)).toBeDefined();
  });

  test("login tells a good password from a bad one and returns an identity token", async () => {
    await using at = setUp();
    using tokens = new FakeRegistry();
    tokens.intercept = (request, url) => {
      if (request.headers.get("authorization") !== basic) {
        return Response.json({ details: "incorrect username or password" }, { status: 401 });
      }
      expect(url.searchParams.get("offline_token")).toBe("true");
      return Response.json({ token: "good", refresh_token: "keep-me" });
    };
    at.registry.intercept = (request) =>
      request.headers.get("authorization") === "Bearer good"
        ? undefined
        : new Response("", {
            status: 401,
            headers: { "WWW-Authenticate": `Bearer realm="${tokens.origin}/"` },
          });
    expect(await at.client.login(at.registry.host, { username: "user", password: "secret" })).toEqual({
      status: "Login Succeeded",
      identityToken: "keep-me",
    });
    expect(
      await failed(at.client.login(`http://${at.registry.host}/v1/`, { username: "user", password: "no" })),
    ).toEqual({
      code: "unauthorized",
      message: `Get "${at.registry.origin}/v2/": unauthorized: incorrect username or password (check user name and password, or use an access token)`,
    });
  });
});
