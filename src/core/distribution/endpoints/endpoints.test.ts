import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { codeOf, messageOf } from "../../../base/lib/errors.ts";
import { parseReference, withDefaultTag } from "../../../base/spec/docker/reference.ts";
import { temporaryContent } from "../../content/testdata/temporary.ts";
import { HttpRegistryClient } from "../client.ts";
import type { Trial } from "../distribution.ts";
import { CuttingProxy } from "../testdata/cutting-proxy.ts";
import { FakeRegistry, instantClock, noise, testConfig } from "../testdata/fake-registry.ts";
import { type Endpoint, endpointsOf, homeEndpoints } from "./endpoints.ts";

const root = mkdtempSync(join(tmpdir(), "tug-endpoints-"));
const [first, second, conf] = [join(root, "first"), join(root, "second"), join(root, "registries.conf")];
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
}

const config = (change: Parameters<typeof testConfig>[0] = {}) =>
  testConfig({
    certificateDirectories: [first, second],
    hostsDirectories: [first, second],
    registriesConf: conf,
    ...change,
  });
const deps = (change: Parameters<typeof testConfig>[0] = {}) => ({
  config: config(change),
  systemAuthorities: undefined,
  lookup: async () => [],
});
const of = (name: string, change: Parameters<typeof testConfig>[0] = {}) =>
  endpointsOf(withDefaultTag(parseReference(name)), deps(change));
/** Endpoint, repository and what is special about it, as one line each. */
const lines = (endpoints: readonly Endpoint[]) =>
  endpoints.map(({ api, repository, mirror, home, use, can, tls }) =>
    [
      `${api}/${repository}`,
      mirror ? "mirror" : "",
      home ? "home" : "",
      use === "all" ? "" : use,
      Object.entries(can)
        .flatMap(([name, may]) => (may ? [name] : []))
        .join("+"),
      tls.verify ? "" : "unverified",
    ]
      .filter((each) => each !== "")
      .join(" "),
  );
const failure = async (work: Promise<unknown>) => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return `${codeOf(error)}: ${messageOf(error)}`;
};

describe("hosts.toml", () => {
  test("gives its hosts in the order of the file, then its server", async () => {
    write({
      "first/docker.io/hosts.toml": `
        server = "https://registry-1.docker.io"
        [host."https://zz.example:8443"]
          capabilities = ["pull", "resolve"]
        [host."http://aa.example/prefix"]
          capabilities = ["pull"]
        [host."https://odd.example/api/root"]
          override_path = true
          skip_verify = true
          dial_timeout = "1500ms"
        [host."https://odd.example/api/root".header]
          x-one = "1"
          X-Two = ["a", "b"]`,
    });
    const found = await of("busybox", { mirrors: ["https://flag.example"] });
    expect(lines(found)).toEqual([
      "https://flag.example/v2/library/busybox mirror resolve+pull",
      "https://zz.example:8443/v2/library/busybox mirror resolve+pull",
      "http://aa.example/prefix/v2/library/busybox mirror pull unverified",
      "https://odd.example/api/root/library/busybox mirror resolve+pull+push unverified",
      "https://registry-1.docker.io/v2/library/busybox home resolve+pull+push",
    ]);
    expect(found[3]).toMatchObject({
      headers: { "x-one": "1", "X-Two": "a, b" },
      dialTimeout: 1500,
      namespace: "docker.io",
    });
    expect(found[4]?.namespace).toBeUndefined();
  });

  test("is the registry's own before _default, by either spelling of the port, the first directory before the second", async () => {
    write({
      "first/_default/hosts.toml": `[host."https://fallback.example"]`,
      "second/r.example:5000/hosts.toml": `[host."https://colon.example"]`,
    });
    const hosts = async (name: string) => (await of(name)).map((each) => each.base);
    expect(await hosts("r.example:5000/app")).toEqual(["https://colon.example", "https://r.example:5000"]);
    expect(await hosts("other.example/app")).toEqual(["https://fallback.example", "https://other.example"]);
    write({ "first/r.example_5000_/hosts.toml": `server = "https://only.example"` });
    expect(lines(await of("r.example:5000/app"))).toEqual(["https://only.example/v2/app resolve+pull+push"]);
  });

  test("brings authorities and client certificates, relative to itself, in every form", async () => {
    write({
      "first/r.example/hosts.toml": `
        ca = "own.pem"
        [host."https://a.example"]
          ca = ["own.pem", "${first}/r.example/two.pem"]
          client = [["c.pem", "k.pem"], ["x", "y"]]
        [host."https://b.example"]
          client = "both.pem"
        [host."https://c.example"]
          client = ["both.pem"]`,
      "first/r.example/own.pem": "OWN",
      "first/r.example/two.pem": "TWO",
      "first/r.example/c.pem": "C",
      "first/r.example/k.pem": "K",
      "first/r.example/both.pem": "BOTH",
      "second/a.example/docker.crt": "DOCKER",
    });
    const both = { certificate: "BOTH", key: "BOTH" };
    expect((await of("r.example/app")).map((each) => each.tls)).toEqual([
      { verify: true, authorities: ["DOCKER", "OWN", "TWO"], client: { certificate: "C", key: "K" } },
      { verify: true, authorities: [], client: both },
      { verify: true, authorities: [], client: both },
      { verify: true, authorities: ["OWN"], client: undefined },
    ]);
  });

  test("that is wrong says where and what, and nothing is pulled from elsewhere", async () => {
    const path = join(first, "r.example/hosts.toml");
    for (const [text, complaint] of [
      ["server = ", "failed to decode"],
      [`[host."https://a.example"]\ncapabilities = ["fly"]`, "unknown capability fly"],
      [`[host."https://a.example"]\nca = 5`, "ca must be a list of strings, not 5"],
      [`[host."https://a.example"]\nca = "missing.pem"`, "missing.pem, which cannot be read"],
      [`[host."https://a.example"]\ndial_timeout = "soon"`, 'dial_timeout must be a duration like "5s"'],
      [`[host."https://u:p@a.example"]`, "and nothing else"],
      [`[host."https://a.example".header]\n"bad name" = "x"`, "invalid header"],
      [`host = "x"`, "host must be a table"],
    ] as const) {
      write({ "first/r.example/hosts.toml": text });
      const said = await failure(of("r.example/app"));
      expect(said).toStartWith("invalid-argument");
      expect(said).toContain(path);
      expect(said).toContain(complaint);
    }
  });
});

describe("registries.conf", () => {
  const example = `
    unqualified-search-registries = ["search.example"]
    [[registry]]
    prefix = "example.com/foo"
    location = "internal.example/bar"
    [[registry.mirror]]
    location = "m0.example/mirror-for-foo"
    [[registry.mirror]]
    location = "m1.example:5000/mirrors/foo"
    insecure = true
    pull-from-mirror = "digest-only"
    [[registry]]
    location = "example.com"
    [[registry.mirror]]
    location = "m2.example"
    pull-from-mirror = "tag-only"
    [[registry]]
    prefix = "*.wild.example"
    insecure = true
    [[registry]]
    prefix = "docker.io/library/secret"
    blocked = true`;

  test("remaps by the longest prefix, mirrors first", async () => {
    write({ "registries.conf": example });
    expect(lines(await of("example.com/foo/app"))).toEqual([
      "https://m0.example/v2/mirror-for-foo/app mirror resolve+pull",
      "https://m1.example:5000/v2/mirrors/foo/app mirror digest-only resolve+pull unverified",
      "http://m1.example:5000/v2/mirrors/foo/app mirror digest-only resolve+pull unverified",
      "https://internal.example/v2/bar/app resolve+pull",
      "https://example.com/v2/foo/app home push",
    ]);
    expect(lines(await of("example.com/foobar"))).toEqual([
      "https://m2.example/v2/foobar mirror tag-only resolve+pull",
      "https://example.com/v2/foobar home resolve+pull+push",
    ]);
    expect(lines(await of("a.b.wild.example:5000/app"))).toEqual([
      "https://a.b.wild.example:5000/v2/app home resolve+pull+push unverified",
      "http://a.b.wild.example:5000/v2/app home resolve+pull+push unverified",
    ]);
    expect(lines(await of("wild.example/app"))).toEqual([
      "https://wild.example/v2/app home resolve+pull+push",
    ]);
    expect(lines(await of("busybox"))).toEqual([
      "https://registry-1.docker.io/v2/library/busybox home resolve+pull+push",
    ]);
    expect(await failure(of("secret"))).toBe(
      `forbidden: docker.io/library/secret: registry docker.io/library/secret is blocked in ${conf}`,
    );
  });

  test("has drop-ins, of which a later one replaces an earlier one's registry", async () => {
    write({
      "registries.conf": example,
      "registries.conf.d/20.conf": `[[registry]]\nlocation = "example.com"\n[[registry.mirror]]\nlocation = "late.example"`,
      "registries.conf.d/10.conf": `[[registry]]\nlocation = "example.com"\nblocked = true`,
      "registries.conf.d/30.txt": "nonsense = ",
    });
    expect((await of("example.com/app")).map((each) => each.base)).toEqual([
      "https://late.example",
      "https://example.com",
    ]);
  });

  test("yields to a hosts.toml of the registry, but what it blocks is blocked", async () => {
    write({
      "registries.conf": example,
      "first/_default/hosts.toml": `[host."https://toml.example"]`,
    });
    expect((await of("example.com/foo/app"))[0]?.base).toBe("https://toml.example");
    expect(await failure(of("secret"))).toStartWith("forbidden");
  });

  test("of version 1 lists insecure and blocked registries", async () => {
    write({
      "registries.conf": `[registries.search]\nregistries = ["x"]\n[registries.insecure]\nregistries = ["i.example"]\n[registries.block]\nregistries = ["b.example"]`,
    });
    expect(lines(await of("i.example/app"))[1]).toBe(
      "http://i.example/v2/app home resolve+pull+push unverified",
    );
    expect(await failure(of("b.example/app"))).toStartWith("forbidden");
  });

  test("that is wrong says where and what", async () => {
    for (const [text, complaint] of [
      ["[[registry]]\nblocked = true", "both prefix and location are unset"],
      [`[[registry]]\nlocation = "https://x"`, "URI schemes are not supported"],
      [`[[registry]]\nprefix = "a.*.example"`, 'invalid prefix "a.*.example"'],
      [`[[registry]]\nlocation = "x"\ninsecure = "yes"`, "insecure must be true or false"],
      [`[[registry]]\nlocation = "x"\n[[registry.mirror]]\ninsecure = true`, 'invalid location ""'],
      [
        `[[registry]]\nlocation = "x"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "m"\npull-from-mirror = "all"`,
        "cannot set mirror usage",
      ],
      ["registry = 5", "registry must be an array of tables"],
    ] as const) {
      write({ "registries.conf": text });
      const said = await failure(of("x.example/app"));
      expect(said).toStartWith("invalid-argument");
      expect(said).toContain(conf);
      expect(said).toContain(complaint);
    }
  });
});

test("a login is for the registry itself, whatever mirrors there are", async () => {
  write({
    "first/r.example/hosts.toml": `server = "https://elsewhere.example"\n[host."https://m.example"]`,
    "registries.conf": `[[registry]]\nlocation = "i.example"\ninsecure = true\n[[registry.mirror]]\nlocation = "m.example"`,
  });
  const bases = async (domain: string) => (await homeEndpoints(domain, deps())).map((each) => each.base);
  expect(await bases("r.example")).toEqual(["https://r.example"]);
  expect(await bases("i.example")).toEqual(["https://i.example", "http://i.example"]);
});

describe("with real mirrors", () => {
  function setUp() {
    const content = temporaryContent();
    const [mirror, home] = [new FakeRegistry(), new FakeRegistry()];
    const client = new HttpRegistryClient({
      content: content.store,
      clock: instantClock(),
      config: config(),
    });
    const trials: Trial[] = [];
    return {
      content: content.store,
      mirror,
      home,
      client,
      options: { auth: { username: "u", password: "secret" }, onTrial: (trial: Trial) => trials.push(trial) },
      told: () => trials.map(({ endpoint, outcome, asked }) => `${endpoint} ${outcome} ${asked}`),
      trials,
      async [Symbol.asyncDispose]() {
        mirror[Symbol.dispose]();
        home[Symbol.dispose]();
        await content[Symbol.asyncDispose]();
      },
    };
  }

  test("a mirror of blobs is not asked for tags, gets its headers and no credentials", async () => {
    await using at = setUp();
    const image = at.home.addImage("app", "1", ["layer"]);
    at.mirror.addImage("app", undefined, ["layer"]);
    const guard = (request: Request) =>
      request.headers.has("authorization")
        ? undefined
        : new Response("", { status: 401, headers: { "WWW-Authenticate": 'Basic realm="x"' } });
    at.home.intercept = guard;
    write({
      [`first/${at.home.host}/hosts.toml`]: `
        server = "${at.home.origin}"
        [host."${at.mirror.origin}"]
          capabilities = ["pull"]
        [host."${at.mirror.origin}".header]
          x-key = "k"`,
    });
    const ref = at.home.ref("app:1");
    const resolved = await at.client.resolve(ref, at.options);
    await at.client.fetch(ref, resolved.config, at.options);
    expect(at.told()).toEqual([
      `${at.mirror.origin} skipped manifest 1`,
      `${at.home.origin} answered manifest 1`,
      `${at.mirror.origin} answered blob ${image.config.digest}`,
    ]);
    expect(at.trials[0]?.detail).toBe("lacks the capability resolve");
    expect(at.mirror.requests.map((each) => each.line)).toEqual([
      `GET /v2/?ns=${encodeURIComponent(at.home.host)}`,
      `GET /v2/app/blobs/${image.config.digest}?ns=${encodeURIComponent(at.home.host)}`,
    ]);
    for (const { headers } of at.mirror.requests) {
      expect(headers.get("x-key")).toBe("k");
      expect(headers.get("authorization")).toBeNull();
    }
  });

  test("404, 5xx, 429 and wrong bytes of a mirror move on to the next; one that fails is then left in peace", async () => {
    for (const [status, told] of [
      [404, "answered"],
      [429, "skipped"],
      [500, "skipped"],
    ] as const) {
      await using at = setUp();
      const image = at.home.addImage("app", "1", ["layer"]);
      at.mirror.addImage("app", "1", ["layer"]);
      at.mirror.intercept = (_, url) =>
        url.pathname.includes("manifests") ? new Response("{}", { status }) : undefined;
      write({
        "registries.conf": `
          [[registry]]
          location = "${at.home.host}"
          insecure = true
          [[registry.mirror]]
          location = "${at.mirror.host}"
          insecure = true`,
      });
      const resolved = await at.client.resolve(at.home.ref("app:1"), at.options);
      expect(resolved.manifest.digest).toBe(image.manifest.digest);
      await at.client.fetch(at.home.ref("app:1"), resolved.config, at.options);
      const mirror = at.told().filter((each) => each.startsWith(at.mirror.origin));
      expect(mirror.at(-1)).toBe(`${at.mirror.origin} ${told} blob ${image.config.digest}`);
    }
  });

  test("a mirror that is cut off in a blob is continued by the next one, and its wrong bytes are not kept", async () => {
    await using at = setUp();
    const bytes = noise(600_000);
    at.home.addImage("app", "1", [bytes]);
    const layer = at.mirror.addBlob(bytes);
    const port = Number(at.mirror.host.split(":")[1]);
    await using cutting = await CuttingProxy.before(port, { direction: "down", after: 400_000, times: 1 });
    write({
      [`first/${at.home.host}/hosts.toml`]: `server = "${at.home.origin}"\n[host."http://127.0.0.1:${cutting.port}"]`,
    });
    await at.client.fetch(at.home.ref("app:1"), layer, at.options);
    expect(at.content.stat(layer.digest)?.size).toBe(600_000);
    const range = at.home.requests.at(-1)?.headers.get("range") ?? "";
    expect(Number(/^bytes=(\d+)-$/.exec(range)?.[1])).toBeGreaterThan(100_000);
    expect(cutting.cuts).toBe(1);
    const wrong = at.mirror.addBlob("right");
    at.mirror.intercept = (_, url) => (url.pathname.includes("/blobs/") ? new Response("wrong") : undefined);
    at.home.addBlob("right");
    await at.client.fetch(at.home.ref("app:1"), wrong, { onTrial: at.options.onTrial });
    expect(at.content.stat(wrong.digest)?.size).toBe(5);
  });
});
