import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { digestOf, ociIndex, ociManifest, TugRegistry } from "../harness/tug-registry.ts";

setDefaultTimeout(60_000);
/** distribution-spec v1.1, endpoint by endpoint, as a client without any library sees it. */
let registry: TugRegistry;
beforeAll(async () => {
  registry = await TugRegistry.start();
});
afterAll(async () => await registry[Symbol.asyncDispose]());

const octets = { "Content-Type": "application/octet-stream" };
const nowhere = digestOf("nothing has this digest");

async function errorsOf(response: Response): Promise<readonly string[]> {
  const body = (await response.json()) as { errors: readonly { code: string; message: string }[] };
  for (const error of body.errors) expect(error.message).toBeString();
  return body.errors.map((error) => error.code);
}

async function begin(repository: string): Promise<string> {
  const response = await registry.request("POST", `/v2/${repository}/blobs/uploads/`);
  expect(response.status).toBe(202);
  return response.headers.get("location") ?? "";
}

test("GET /v2/ says that this is a registry (end-1)", async () => {
  const response = await registry.request("GET", "/v2/");
  expect(response.status).toBe(200);
  expect(response.headers.get("docker-distribution-api-version")).toBe("registry/2.0");
});

describe("what is wrong is told with the spec's codes", () => {
  const long = `${"a".repeat(300)}`;
  const table: readonly [method: string, path: string, status: number, code: string][] = [
    ["GET", `/v2/x/blobs/${nowhere}`, 404, "BLOB_UNKNOWN"],
    ["HEAD", `/v2/x/blobs/${nowhere}`, 404, ""],
    ["GET", "/v2/x/blobs/sha256:abc", 400, "DIGEST_INVALID"],
    ["GET", `/v2/x/blobs/${nowhere.toUpperCase().replace("SHA256", "sha256")}`, 400, "DIGEST_INVALID"],
    ["GET", "/v2/x/blobs/md5:d41d8cd98f00b204e9800998ecf8427e", 400, "DIGEST_INVALID"],
    ["GET", "/v2/x/blobs/sha256:..%2f..%2fetc%2fpasswd", 404, "NAME_UNKNOWN"],
    ["GET", "/v2/x/manifests/latest", 404, "MANIFEST_UNKNOWN"],
    ["GET", `/v2/x/manifests/${nowhere}`, 404, "MANIFEST_UNKNOWN"],
    ["GET", "/v2/x/manifests/.hidden", 404, "MANIFEST_UNKNOWN"],
    ["HEAD", "/v2/x/manifests/.hidden", 404, ""],
    ["PUT", "/v2/x/manifests/.hidden", 400, "TAG_INVALID"],
    ["DELETE", "/v2/x/manifests/.hidden", 400, "TAG_INVALID"],
    ["GET", `/v2/x/manifests/${"t".repeat(129)}`, 404, "MANIFEST_UNKNOWN"],
    ["GET", "/v2/x/manifests/sha256:zz", 400, "DIGEST_INVALID"],
    ["GET", "/v2/UPPER/manifests/latest", 400, "NAME_INVALID"],
    ["GET", "/v2/a//b/manifests/latest", 400, "NAME_INVALID"],
    ["GET", "/v2/..%2f..%2fetc/manifests/latest", 400, "NAME_INVALID"],
    ["GET", "/v2/a%00b/manifests/latest", 400, "NAME_INVALID"],
    ["GET", `/v2/${long}/manifests/latest`, 400, "NAME_INVALID"],
    ["GET", "/v2/nobody/tags/list", 404, "NAME_UNKNOWN"],
    ["GET", "/v2/x/tags/list?n=many", 400, "PAGINATION_NUMBER_INVALID"],
    ["GET", "/v2/x/tags/list?n=-1", 400, "PAGINATION_NUMBER_INVALID"],
    ["GET", "/v2/x/referrers/latest", 400, "DIGEST_INVALID"],
    ["GET", "/v2/x/blobs/uploads/00000000-0000-0000-0000-000000000000", 404, "BLOB_UPLOAD_UNKNOWN"],
    ["PATCH", "/v2/x/blobs/uploads/00000000-0000-0000-0000-000000000000", 404, "BLOB_UPLOAD_UNKNOWN"],
    ["PUT", `/v2/x/blobs/uploads/none?digest=${nowhere}`, 404, "BLOB_UPLOAD_UNKNOWN"],
    ["DELETE", "/v2/x/blobs/uploads/..%2f..%2fx", 404, "NAME_UNKNOWN"],
    ["POST", "/v2/x/blobs/uploads/?digest=sha256:12", 400, "DIGEST_INVALID"],
    ["POST", "/v2/x/blobs/uploads/?digest-algorithm=md5", 400, "DIGEST_INVALID"],
    ["DELETE", `/v2/x/blobs/${nowhere}`, 404, "BLOB_UNKNOWN"],
    ["DELETE", `/v2/x/manifests/${nowhere}`, 404, "MANIFEST_UNKNOWN"],
    ["DELETE", "/v2/x/manifests/latest", 404, "MANIFEST_UNKNOWN"],
    ["POST", "/v2/", 405, "UNSUPPORTED"],
    ["PATCH", "/v2/x/manifests/latest", 405, "UNSUPPORTED"],
  ];
  for (const [method, path, status, code] of table) {
    test(`${method} ${path.slice(0, 80)} is ${status} ${code}`, async () => {
      const response = await registry.request(method, path);
      expect(response.status).toBe(status);
      if (code !== "") expect(await errorsOf(response)).toEqual([code]);
    });
  }
});

describe("pushing blobs", () => {
  test("monolithic, POST then PUT (end-4a, end-6)", async () => {
    const location = await begin("push/mono");
    const digest = digestOf("monolithic");
    const put = await registry.request("PUT", `${location}?digest=${digest}`, {
      body: "monolithic",
      headers: octets,
    });
    expect(put.status).toBe(201);
    expect(put.headers.get("docker-content-digest")).toBe(digest);
    const where = put.headers.get("location") ?? "";
    const got = await registry.request("GET", where);
    expect([got.status, await got.text()]).toEqual([200, "monolithic"]);
    expect(got.headers.get("docker-content-digest")).toBe(digest);
    const head = await registry.request("HEAD", where);
    expect([head.status, head.headers.get("content-length")]).toEqual([200, "10"]);
    expect((await registry.request("GET", location)).status).toBe(404);
  });

  test("monolithic in a single POST (end-4b)", async () => {
    const digest = await registry.pushBlob("push/single", "single post");
    expect((await registry.request("HEAD", `/v2/push/single/blobs/${digest}`)).status).toBe(200);
    expect((await registry.request("HEAD", `/v2/push/other/blobs/${digest}`)).status).toBe(404);
  });

  test("in chunks, with a status in between, and one out of order refused with 416 (end-5, end-13)", async () => {
    const location = await begin("push/chunks");
    const chunk = async (from: number, text: string) =>
      await registry.request("PATCH", location, {
        body: text,
        headers: { ...octets, "Content-Range": `${from}-${from + text.length - 1}` },
      });
    const first = await chunk(0, "first ");
    expect([first.status, first.headers.get("range")]).toEqual([202, "0-5"]);
    const early = await chunk(20, "third");
    expect([early.status, early.headers.get("range"), await errorsOf(early)]).toEqual([
      416,
      "0-5",
      ["RANGE_INVALID"],
    ]);
    const again = await chunk(0, "first ");
    expect(again.status).toBe(416);
    const status = await registry.request("GET", location);
    expect([status.status, status.headers.get("range")]).toEqual([204, "0-5"]);
    expect((await chunk(6, "second ")).headers.get("range")).toBe("0-12");
    const digest = digestOf("first second last");
    const wrong = await registry.request("PUT", `${location}?digest=${digest}`, {
      body: "last",
      headers: { ...octets, "Content-Range": "5-8" },
    });
    expect(wrong.status).toBe(416);
    const put = await registry.request("PUT", `${location}?digest=${digest}`, {
      body: "last",
      headers: { ...octets, "Content-Range": "13-16" },
    });
    expect(put.status).toBe(201);
    expect(await (await registry.request("GET", `/v2/push/chunks/blobs/${digest}`)).text()).toBe(
      "first second last",
    );
  });

  test("chunks without Content-Range are streamed to the end, and the closing PUT may be empty", async () => {
    const location = await begin("push/stream");
    await registry.request("PATCH", location, { body: "one ", headers: octets });
    await registry.request("PATCH", location, { body: "two", headers: octets });
    const put = await registry.request("PUT", `${location}?digest=${digestOf("one two")}`);
    expect(put.status).toBe(201);
  });

  test("a range that does not fit its length is 400", async () => {
    const location = await begin("push/range");
    for (const range of ["0-99", "5-0", "x-y"]) {
      const response = await registry.request("PATCH", location, {
        body: "abc",
        headers: { "Content-Range": range },
      });
      expect([response.status, await errorsOf(response)]).toEqual([400, ["SIZE_INVALID"]]);
    }
  });

  test("other bytes than the digest says are refused, and so is a PUT without digest", async () => {
    const location = await begin("push/wrong");
    const bare = await registry.request("PUT", location, { body: "bytes" });
    expect([bare.status, await errorsOf(bare)]).toEqual([400, ["DIGEST_INVALID"]]);
    const put = await registry.request("PUT", `${location}?digest=${digestOf("others")}`, { body: "bytes" });
    expect([put.status, await errorsOf(put)]).toEqual([400, ["DIGEST_INVALID"]]);
    expect((await registry.request("HEAD", `/v2/push/wrong/blobs/${digestOf("bytes")}`)).status).toBe(404);
  });

  test("sha512 is a digest like any other (end-4c)", async () => {
    const begun = await registry.request("POST", "/v2/push/sha512/blobs/uploads/?digest-algorithm=sha512");
    const digest = `sha512:${createHash("sha512").update("long hash").digest("hex")}`;
    const put = await registry.request("PUT", `${begun.headers.get("location")}?digest=${digest}`, {
      body: "long hash",
    });
    expect(put.status).toBe(201);
    expect(await (await registry.request("GET", `/v2/push/sha512/blobs/${digest}`)).text()).toBe("long hash");
  });

  test("an upload can be cancelled (end-14)", async () => {
    const location = await begin("push/cancel");
    await registry.request("PATCH", location, { body: "abandoned", headers: octets });
    expect((await registry.request("DELETE", location)).status).toBe(204);
    expect((await registry.request("GET", location)).status).toBe(404);
    expect((await registry.request("DELETE", location)).status).toBe(404);
  });

  test("an upload belongs to its repository", async () => {
    const location = await begin("push/mine");
    expect((await registry.request("GET", location.replace("push/mine", "push/yours"))).status).toBe(404);
  });

  test("many clients may push the same blob at the same time", async () => {
    const bytes = crypto.getRandomValues(new Uint8Array(65_536));
    const names = Array.from({ length: 12 }, (_, index) => `push/same${index % 3}`);
    const digests = await Promise.all(names.map((name) => registry.pushBlob(name, bytes)));
    expect(new Set(digests)).toEqual(new Set([digestOf(bytes)]));
    for (const name of new Set(names)) {
      const got = await registry.request("GET", `/v2/${name}/blobs/${digestOf(bytes)}`);
      expect(digestOf(new Uint8Array(await got.arrayBuffer()))).toBe(digestOf(bytes));
    }
  });

  test("an empty blob is a blob", async () => {
    expect(await registry.pushBlob("push/empty", "")).toBe(digestOf(""));
    expect((await registry.request("GET", `/v2/push/empty/blobs/${digestOf("")}`)).status).toBe(200);
  });

  test("blobs are mounted from the repository that is named, or from any (end-11)", async () => {
    const digest = await registry.pushBlob("mount/from", "shared layer");
    const mount = (to: string, query: string) =>
      registry.request("POST", `/v2/${to}/blobs/uploads/?mount=${query}`);
    const named = await mount("mount/to", `${digest}&from=mount/from`);
    expect([named.status, named.headers.get("location")]).toEqual([201, `/v2/mount/to/blobs/${digest}`]);
    expect((await mount("mount/any", digest)).status).toBe(201);
    expect((await registry.request("HEAD", `/v2/mount/any/blobs/${digest}`)).status).toBe(200);
    const elsewhere = await mount("mount/no", `${digest}&from=mount/nobody`);
    expect(elsewhere.status).toBe(202);
    expect((await mount("mount/no", nowhere)).status).toBe(202);
    const bad = await mount("mount/no", `${digest}&from=../x`);
    expect([bad.status, await errorsOf(bad)]).toEqual([400, ["NAME_INVALID"]]);
  });
});

describe("pulling blobs", () => {
  test("ranges are served as RFC 9110 says", async () => {
    const digest = await registry.pushBlob("range", "0123456789");
    const path = `/v2/range/blobs/${digest}`;
    const get = async (range: string, more: Record<string, string> = {}) => {
      const response = await registry.request("GET", path, { headers: { Range: range, ...more } });
      return [
        response.status,
        response.headers.get("content-range"),
        response.status < 400 ? await response.text() : "",
      ];
    };
    expect(await get("bytes=2-4")).toEqual([206, "bytes 2-4/10", "234"]);
    expect(await get("bytes=7-")).toEqual([206, "bytes 7-9/10", "789"]);
    expect(await get("bytes=-3")).toEqual([206, "bytes 7-9/10", "789"]);
    expect(await get("bytes=5-500")).toEqual([206, "bytes 5-9/10", "56789"]);
    expect(await get("bytes=10-")).toEqual([416, "bytes */10", ""]);
    expect(await get("bytes=4-2")).toEqual([416, "bytes */10", ""]);
    expect(await get("pages=1-2")).toEqual([200, null, "0123456789"]);
    expect(await get("bytes=2-4", { "If-Range": '"other"' })).toEqual([200, null, "0123456789"]);
    const cached = await registry.request("GET", path, { headers: { "If-None-Match": `"${digest}"` } });
    expect(cached.status).toBe(304);
  });
});

describe("manifests", () => {
  test("are kept byte for byte, under tag and digest, with the type they came with (end-3, end-7a)", async () => {
    const config = await registry.pushBlob("man/one", "{}");
    const text = `{ "schemaVersion": 2,\n "mediaType": "${ociManifest}", "config": {"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":"${config}"}, "layers": [] , "x": 1}`;
    const put = await registry.request("PUT", "/v2/man/one/manifests/v1", {
      body: text,
      headers: { "Content-Type": `${ociManifest}; charset=utf-8` },
    });
    expect([put.status, put.headers.get("docker-content-digest")]).toEqual([201, digestOf(text)]);
    for (const reference of ["v1", digestOf(text)]) {
      const get = await registry.request("GET", `/v2/man/one/manifests/${reference}`, {
        headers: { Accept: "application/vnd.docker.distribution.manifest.v2+json" },
      });
      expect([get.status, get.headers.get("content-type"), await get.text()]).toEqual([
        200,
        ociManifest,
        text,
      ]);
      const head = await registry.request("HEAD", `/v2/man/one/manifests/${reference}`);
      expect([
        head.status,
        head.headers.get("content-length"),
        head.headers.get("docker-content-digest"),
      ]).toEqual([200, String(text.length), digestOf(text)]);
    }
  });

  test("that name what is not there are refused with every digest that is missing", async () => {
    const manifest = (config: string, layer: string) =>
      JSON.stringify({
        schemaVersion: 2,
        mediaType: ociManifest,
        config: { mediaType: "application/vnd.oci.image.config.v1+json", size: 2, digest: config },
        layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", size: 2, digest: layer }],
      });
    const elsewhere = await registry.pushBlob("man/elsewhere", "in another repository");
    const response = await registry.request("PUT", "/v2/man/missing/manifests/v1", {
      body: manifest(nowhere, elsewhere),
      headers: { "Content-Type": ociManifest },
    });
    expect(response.status).toBe(404);
    expect(await errorsOf(response)).toEqual(["MANIFEST_BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN"]);
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: ociIndex,
      manifests: [{ mediaType: ociManifest, size: 2, digest: nowhere }],
    });
    const put = await registry.request("PUT", "/v2/man/missing/manifests/v1", {
      body: index,
      headers: { "Content-Type": ociIndex },
    });
    expect(await errorsOf(put)).toEqual(["MANIFEST_BLOB_UNKNOWN"]);
  });

  test("that are none, or two things at once, are refused", async () => {
    const config = await registry.pushBlob("man/bad", "{}");
    const descriptor = { mediaType: "application/vnd.oci.empty.v1+json", size: 2, digest: config };
    const bad: readonly [body: string, type: string][] = [
      ["", ociManifest],
      ["{", ociManifest],
      ["[]", ociManifest],
      ["{}", ociManifest],
      ['{"schemaVersion":1}', "application/vnd.docker.distribution.manifest.v1+json"],
      [JSON.stringify({ schemaVersion: 2, config: descriptor, layers: [], manifests: [] }), ociManifest],
      [JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, config: descriptor, layers: [] }), ociIndex],
      [JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [] }), ociManifest],
      [
        JSON.stringify({ schemaVersion: 2, config: { ...descriptor, digest: "sha256:../../x" }, layers: [] }),
        ociManifest,
      ],
      [JSON.stringify({ schemaVersion: 2, config: { ...descriptor, size: -1 }, layers: [] }), ociManifest],
      ["[".repeat(100_000), ociManifest],
    ];
    for (const [body, type] of bad) {
      const response = await registry.request("PUT", "/v2/man/bad/manifests/v1", {
        body,
        headers: { "Content-Type": type },
      });
      expect([response.status, await errorsOf(response)]).toEqual([400, ["MANIFEST_INVALID"]]);
    }
  });

  test("may have 4 MiB and no more", async () => {
    const config = await registry.pushBlob("man/large", "{}");
    const sized = (size: number) => {
      const make = (fill: string) =>
        JSON.stringify({
          schemaVersion: 2,
          mediaType: ociManifest,
          config: { mediaType: "application/vnd.oci.empty.v1+json", size: 2, digest: config },
          layers: [],
          fill,
        });
      return make("x".repeat(size - make("").length));
    };
    const put = async (body: string) =>
      (
        await registry.request("PUT", "/v2/man/large/manifests/v1", {
          body,
          headers: { "Content-Type": ociManifest },
        })
      ).status;
    expect(await put(sized(4 * 1024 * 1024))).toBe(201);
    expect(await put(sized(4 * 1024 * 1024 + 1))).toBe(413);
  });

  test("pushed by another digest than theirs are refused", async () => {
    const index = JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [] });
    const put = await registry.request("PUT", `/v2/man/digest/manifests/${nowhere}`, {
      body: index,
      headers: { "Content-Type": ociIndex },
    });
    expect([put.status, await errorsOf(put)]).toEqual([400, ["DIGEST_INVALID"]]);
  });

  test("pushed by digest can be tagged at once (end-7b)", async () => {
    const index = JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [], n: 7 });
    const put = await registry.request(
      "PUT",
      `/v2/man/tags/manifests/${digestOf(index)}?tag=1.2&tag=1&tag=latest`,
      {
        body: index,
        headers: { "Content-Type": ociIndex },
      },
    );
    expect([put.status, put.headers.get("oci-tag")]).toEqual([201, "1.2, 1, latest"]);
    const list = await registry.request("GET", "/v2/man/tags/tags/list");
    expect(await list.json()).toEqual({ name: "man/tags", tags: ["1", "1.2", "latest"] });
  });

  test("under a tag are put only if it is what the client expects (RFC 9110, 13.1)", async () => {
    const put = (n: number, headers: Record<string, string>) =>
      registry.request("PUT", "/v2/man/if/manifests/t", {
        body: JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [], n }),
        headers: { "Content-Type": ociIndex, ...headers },
      });
    const first = await put(1, { "If-None-Match": "*" });
    expect(first.status).toBe(201);
    expect((await put(2, { "If-None-Match": "*" })).status).toBe(412);
    const etag = `"${first.headers.get("docker-content-digest")}"`;
    expect((await put(3, { "If-Match": etag })).status).toBe(201);
    expect((await put(4, { "If-Match": etag })).status).toBe(412);
  });
});

describe("content discovery", () => {
  test("tags are listed in order, page by page (end-8a, end-8b)", async () => {
    const names = ["A", "b", "a", "B", "10", "9", "_x", "v1.0"];
    for (const name of names) await registry.pushImage("disc/tags", name, []);
    const sorted = [...names].sort();
    const whole = await registry.request("GET", "/v2/disc/tags/tags/list");
    expect(await whole.json()).toEqual({ name: "disc/tags", tags: sorted });
    const seen: string[] = [];
    for (let path: string | undefined = "/v2/disc/tags/tags/list?n=3"; path; ) {
      const response: Response = await registry.request("GET", path);
      const { tags } = (await response.json()) as { tags: string[] };
      seen.push(...tags);
      path = /^<([^>]+)>; rel="next"$/.exec(response.headers.get("link") ?? "")?.[1];
      if (path) expect(tags.length).toBe(3);
    }
    expect(seen).toEqual(sorted);
    const none = await registry.request("GET", "/v2/disc/tags/tags/list?n=0");
    expect([await none.json(), none.headers.get("link")]).toEqual([{ name: "disc/tags", tags: [] }, null]);
    const after = await registry.request("GET", "/v2/disc/tags/tags/list?last=_x");
    expect(await after.json()).toEqual({ name: "disc/tags", tags: sorted.slice(sorted.indexOf("_x") + 1) });
  });

  test("the catalog lists repositories page by page", async () => {
    for (const name of ["cat/a", "cat/b", "cat/c"]) await registry.pushBlob(name, name);
    const first = await registry.request("GET", "/v2/_catalog?n=2&last=cat");
    expect(await first.json()).toEqual({ repositories: ["cat/a", "cat/b"] });
    const next = /^<([^>]+)>; rel="next"$/.exec(first.headers.get("link") ?? "")?.[1] ?? "";
    const second = (await (await registry.request("GET", next)).json()) as { repositories: string[] };
    expect(second.repositories[0]).toBe("cat/c");
  });

  test("referrers are found by their subject, before and after it exists, and filtered (end-12a, end-12b)", async () => {
    const subject = JSON.stringify({
      schemaVersion: 2,
      mediaType: ociIndex,
      manifests: [],
      subject: undefined,
      n: "subject",
    });
    const about = { mediaType: ociIndex, digest: digestOf(subject), size: subject.length };
    const early = await registry.request("GET", `/v2/ref/er/referrers/${about.digest}`);
    expect([early.status, ((await early.json()) as { manifests: unknown[] }).manifests]).toEqual([200, []]);
    const config = await registry.pushBlob("ref/er", "{}");
    const push = async (more: Record<string, unknown>) => {
      const body = JSON.stringify({
        schemaVersion: 2,
        mediaType: ociManifest,
        config: { mediaType: "application/vnd.example.config", size: 2, digest: config },
        layers: [],
        subject: about,
        ...more,
      });
      const response = await registry.request("PUT", `/v2/ref/er/manifests/${digestOf(body)}`, {
        body,
        headers: { "Content-Type": ociManifest },
      });
      expect([response.status, response.headers.get("oci-subject")]).toEqual([201, about.digest]);
      return { mediaType: ociManifest, digest: digestOf(body), size: body.length };
    };
    const sbom = await push({
      artifactType: "application/vnd.example.sbom",
      annotations: { "org.example.n": "1" },
    });
    const other = await push({ annotations: {} });
    await registry.request("PUT", "/v2/ref/er/manifests/subject", {
      body: subject,
      headers: { "Content-Type": ociIndex },
    });
    const list = async (query: string) => {
      const response = await registry.request("GET", `/v2/ref/er/referrers/${about.digest}${query}`);
      expect(response.headers.get("content-type")).toBe(ociIndex);
      return {
        filters: response.headers.get("oci-filters-applied"),
        body: (await response.json()) as { manifests: unknown[] },
      };
    };
    const all = await list("");
    expect(all.filters).toBeNull();
    expect(all.body.manifests).toHaveLength(2);
    expect(all.body.manifests).toContainEqual({
      ...other,
      artifactType: "application/vnd.example.config",
      annotations: {},
    });
    const filtered = await list("?artifactType=application/vnd.example.sbom");
    expect(filtered.filters).toBe("artifactType");
    expect(filtered.body.manifests).toEqual([
      { ...sbom, artifactType: "application/vnd.example.sbom", annotations: { "org.example.n": "1" } },
    ]);
    const page = await registry.request("GET", `/v2/ref/er/referrers/${about.digest}?n=1`);
    const next = /^<([^>]+)>; rel="next"$/.exec(page.headers.get("link") ?? "")?.[1] ?? "";
    const rest = (await (await registry.request("GET", next)).json()) as { manifests: unknown[] };
    expect([...((await page.json()) as { manifests: unknown[] }).manifests, ...rest.manifests]).toEqual(
      all.body.manifests,
    );
  });
});

describe("content management", () => {
  test("a tag goes alone, a manifest with its tags, a blob when nothing needs it (end-9, end-10)", async () => {
    const digest = await registry.pushImage("del/one", "a", ["layer to delete"]);
    await registry.pushImage("del/one", "b", ["layer to delete"]);
    const status = async (method: string, path: string) =>
      (await registry.request(method, `/v2/del/one/${path}`)).status;
    expect(await status("DELETE", "manifests/a")).toBe(202);
    expect(await status("GET", "manifests/a")).toBe(404);
    expect(await status("GET", "manifests/b")).toBe(200);
    const layer = digestOf("layer to delete");
    const needed = await registry.request("DELETE", `/v2/del/one/blobs/${layer}`);
    expect([needed.status, await errorsOf(needed)]).toEqual([405, ["UNSUPPORTED"]]);
    expect(await status("DELETE", `manifests/${digest}`)).toBe(202);
    expect(await status("GET", "manifests/b")).toBe(404);
    expect(await status("GET", `manifests/${digest}`)).toBe(404);
    expect(await status("DELETE", `blobs/${layer}`)).toBe(202);
    expect(await status("GET", `blobs/${layer}`)).toBe(404);
    const again = await registry.pushImage("del/one", "a", ["layer to delete"]);
    expect(again).toBe(digest);
    expect(await status("GET", `blobs/${layer}`)).toBe(200);
  });
});
