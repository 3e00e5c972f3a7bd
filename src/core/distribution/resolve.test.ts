import { describe, expect, test } from "bun:test";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import { failed, setUp } from "./testdata/client-bench.ts";
import { failure } from "./testdata/fake-registry.ts";

describe("resolving", () => {
  test("a tag of one image gives its manifest, config and layers, and keeps the document", async () => {
    await using at = setUp();
    const image = at.registry.addImage("app", "1", ["one", "two"]);
    const found = await at.client.resolve(at.registry.ref("app:1"), {});
    expect(found).toEqual({
      target: image.manifest,
      manifest: image.manifest,
      config: image.config,
      layers: image.layers,
    });
    expect(at.content.stat(image.manifest.digest)?.size).toBe(image.manifest.size);
    expect(at.registry.requests.every((each) => each.headers.get("user-agent") === "tug/test")).toBe(true);
  });

  test("a document that is here already does not travel again", async () => {
    await using at = setUp();
    at.registry.addImage("app", "1", ["one"]);
    await at.client.resolve(at.registry.ref("app:1"), {});
    await at.client.resolve(at.registry.ref("app:1"), {});
    expect(at.registry.lines(/^GET .*manifests/)).toHaveLength(1);
    expect(at.registry.lines(/^HEAD .*manifests/)).toHaveLength(2);
  });

  test("an index gives the manifest of the platform", async () => {
    await using at = setUp();
    const amd64 = at.registry.addImage("app", undefined, ["a"], { os: "linux", architecture: "amd64" });
    const arm = at.registry.addImage("app", undefined, ["b"], {
      os: "linux",
      architecture: "arm",
      variant: "v7",
    });
    const index = at.registry.addDocument("app", "1", mediaTypes.ociIndex, {
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [amd64.manifest, arm.manifest],
    });
    const platform = { os: "linux", architecture: "arm64" };
    const found = await at.client.resolve(at.registry.ref("app:1"), { platform });
    expect(found.target).toEqual(index);
    expect(found.manifest.digest).toBe(arm.manifest.digest);
    const wanted = { os: "linux", architecture: "s390x" };
    expect(await failed(at.client.resolve(at.registry.ref("app:1"), { platform: wanted }))).toEqual({
      code: "not-found",
      message: "no matching manifest for linux/s390x in the manifest list entries",
    });
    expect((await at.client.describe(at.registry.ref("app:1"), {})).platforms).toHaveLength(2);
  });

  test("an index that lists itself for ever ends", async () => {
    await using at = setUp();
    let inner = at.registry.addImage("app", undefined, ["a"]).manifest;
    for (let depth = 0; depth < 5; depth++) {
      inner = at.registry.addDocument("app", "1", mediaTypes.ociIndex, {
        schemaVersion: 2,
        mediaType: mediaTypes.ociIndex,
        manifests: [inner],
      });
    }
    expect((await failed(at.client.resolve(at.registry.ref("app:1"), {}))).message).toContain(
      "nested too deeply",
    );
  });

  test("what is missing is named as dockerd names it", async () => {
    await using at = setUp();
    const { host } = at.registry;
    expect(await failed(at.client.resolve(at.registry.ref("x:y"), {}))).toEqual({
      code: "not-found",
      message: `manifest for ${host}/x:y not found: manifest unknown: manifest unknown (check name and tag: the registry has no such image)`,
    });
    at.registry.intercept = (_, url) =>
      url.pathname.includes("manifests")
        ? failure(403, "DENIED", "requested access to the resource is denied")
        : undefined;
    expect(await failed(at.client.resolve(at.registry.ref("x:y"), {}))).toEqual({
      code: "not-found",
      message: `pull access denied for ${host}/x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`,
    });
    at.registry.intercept = () => new Response("<html>", { status: 502, statusText: "Bad Gateway" });
    expect(await failed(at.client.resolve(at.registry.ref("z:y"), {}))).toEqual({
      code: "unavailable",
      message: expect.stringContaining("received unexpected HTTP status: 502") as unknown as string,
    });
  });

  test("a rate limit and a page that is no registry's are said as dockerd says them", async () => {
    await using at = setUp();
    const answer = (response: () => Response) => {
      at.registry.intercept = (_, url) => (url.pathname === "/v2/" ? undefined : response());
    };
    answer(() => failure(429, "TOOMANYREQUESTS", "You have reached your pull rate limit."));
    const limited = await failed(at.client.resolve(at.registry.ref("x:y"), {}));
    expect(limited.message).toBe(
      `toomanyrequests: You have reached your pull rate limit. (${at.registry.host} limits how much it serves: wait, log in if you have not, or use a mirror)`,
    );
    answer(() => new Response("<html>oops", { status: 404 }));
    const page = await failed(at.client.resolve(at.registry.ref("x:y"), {}));
    expect(page.message).toBe(
      `error parsing HTTP 404 response body: invalid character '<' looking for beginning of value: "<html>oops"`,
    );
  });

  test("schema 1, artifacts, ambiguous documents and lying content types are refused", async () => {
    await using at = setUp();
    const { document } = at.registry.addImage("app", "ok", ["a"]);
    const put = (tag: string, type: string, value: unknown) =>
      at.registry.addDocument("app", tag, type, value);
    put("old", mediaTypes.dockerSchema1Signed, { schemaVersion: 1, name: "x", fsLayers: [] });
    put("both", mediaTypes.ociManifest, { ...document, manifests: [] });
    put("type", mediaTypes.dockerManifest, document);
    put("chart", mediaTypes.ociManifest, {
      ...document,
      config: { ...document.config, mediaType: "application/vnd.cncf.helm.config.v1+json" },
    });
    put("path", mediaTypes.ociManifest, {
      ...document,
      layers: [{ ...document.layers[0], digest: "sha256:../../../../etc/passwd" }],
    });
    put("huge", mediaTypes.ociManifest, `{"schemaVersion":2,"x":"${"a".repeat(5 << 20)}"}`);
    const of = async (tag: string) => await failed(at.client.resolve(at.registry.ref(`app:${tag}`), {}));
    expect((await of("old")).message).toContain(
      `schema 1 support has been removed. Suggest the author of ${at.registry.host}/app:old`,
    );
    expect((await of("both")).message).toContain("ambiguous manifest");
    expect((await of("type")).message).toContain("mediaType in manifest should be");
    expect((await of("chart")).message).toBe(
      "unsupported media type application/vnd.cncf.helm.config.v1+json",
    );
    expect((await of("path")).message).toContain("invalid digest");
    expect((await of("huge")).message).toContain("larger than");
    // Nothing of them is kept but the ones that are well formed.
    for (const blob of at.content.list()) expect(blob.size).toBeLessThan(4 << 20);
  });

  test("a manifest that is not what its digest says is refused", async () => {
    await using at = setUp();
    const image = at.registry.addImage("app", "1", ["a"]);
    at.registry.intercept = (request, url) =>
      request.method === "GET" && url.pathname.includes("/manifests/")
        ? new Response('{"schemaVersion":2}', { headers: { "Content-Type": mediaTypes.ociManifest } })
        : undefined;
    for (const name of ["app:1", `app@${image.manifest.digest}`]) {
      expect(await failed(at.client.resolve(at.registry.ref(name), {}))).toEqual({
        code: "data-loss",
        message: `manifest verification failed for digest ${image.manifest.digest}`,
      });
    }
  });

  test("tags are listed over all pages, and a list that leads elsewhere or nowhere ends", async () => {
    await using at = setUp();
    at.registry.intercept = (_, url) => {
      if (!url.pathname.endsWith("/tags/list")) return undefined;
      if (url.searchParams.get("last") === "b")
        return Response.json({ name: "app", tags: ["c", "../evil", 7] });
      return Response.json(
        { name: "app", tags: ["a", "b"] },
        { headers: { Link: '</v2/app/tags/list?last=b&n=2>; rel="next"' } },
      );
    };
    expect(await at.client.listTags(at.registry.ref("app"), {})).toEqual(["a", "b", "c"]);
    at.registry.intercept = (_, url) =>
      url.pathname.endsWith("/tags/list")
        ? Response.json({ tags: ["a"] }, { headers: { Link: '<http://127.0.0.1:1/v2/>; rel="next"' } })
        : undefined;
    expect(await at.client.listTags(at.registry.ref("app"), {})).toEqual(["a"]);
  });
});
