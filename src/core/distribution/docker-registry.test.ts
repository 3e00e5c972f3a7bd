import { describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { codeOf, messageOf } from "../../base/lib/errors.ts";
import { parseReference } from "../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { digestOf, splitDigest } from "../../base/spec/oci/digest.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import type { FileContentStore } from "../content/file-store.ts";
import { temporaryContent } from "../content/testdata/temporary.ts";
import { HttpRegistryClient } from "./client.ts";
import { CuttingProxy } from "./testdata/cutting-proxy.ts";
import { DockerRegistry } from "./testdata/docker-registry.ts";
import { instantClock, noise, testConfig } from "./testdata/fake-registry.ts";
import { ParallelImageFetcher } from "./transfer/image-fetcher.ts";

/** An image of two layers in content. */
async function makeImage(content: FileContentStore) {
  const tar = (seed: number) => new Uint8Array(gzipSync(noise(700_000, seed)));
  const layers = [
    await content.put(tar(1), mediaTypes.ociLayerGzip),
    await content.put(tar(2), mediaTypes.ociLayerGzip),
  ];
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const diffIds = [1, 2].map((seed) => digestOf(noise(700_000, seed)));
  const config = await content.put(
    json({ os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: diffIds } }),
    mediaTypes.ociConfig,
  );
  const document = json({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers });
  return { config, layers, document };
}

function clientFor(content: FileContentStore) {
  const clock = instantClock();
  return { clock, client: new HttpRegistryClient({ content, clock, config: testConfig() }) };
}

async function pushAll(
  client: HttpRegistryClient,
  name: string,
  blobs: readonly Descriptor[],
  document: Uint8Array,
) {
  const ref = parseReference(name);
  const outcomes: string[] = [];
  for (const blob of blobs) outcomes.push(await client.push(ref, blob, {}));
  await client.pushManifest(ref, document, mediaTypes.ociManifest, {});
  return outcomes;
}

describe("against Debian's docker-registry", () => {
  test("an image is pushed, found there again, mounted elsewhere, and pulled whole", async () => {
    await using registry = await DockerRegistry.start();
    if (!registry) return;
    const host = `localhost:${registry.port}`;
    await using here = temporaryContent();
    const { config, layers, document } = await makeImage(here.store);
    const { client } = clientFor(here.store);
    const blobs = [config, ...layers];
    expect(await pushAll(client, `${host}/team/app:1`, blobs, document)).toEqual([
      "uploaded",
      "uploaded",
      "uploaded",
    ]);
    expect(await pushAll(client, `${host}/team/app:2`, blobs, document)).toEqual([
      "exists",
      "exists",
      "exists",
    ]);
    const mountFrom = [parseReference(`${host}/nowhere`), parseReference(`${host}/team/app`)];
    const other = parseReference(`${host}/other:1`);
    expect(await client.push(other, config, { mountFrom })).toBe("mounted");
    expect([...(await client.listTags(parseReference(`${host}/team/app`), {}))].sort()).toEqual(["1", "2"]);

    await using there = temporaryContent();
    const pulling = clientFor(there.store).client;
    const fetcher = new ParallelImageFetcher({ client: pulling, content: there.store, maxConcurrent: 3 });
    const ref = parseReference(`${host}/team/app:1`);
    const image = await pulling.resolve(ref, {});
    expect(image.target.digest).toBe(digestOf(document));
    await fetcher.config(ref, image, {});
    await Promise.all(fetcher.layers(ref, image.layers, {}));
    for (const blob of blobs) expect(there.store.stat(blob.digest)?.size).toBe(blob.size);
    expect(await pulling.describe(ref, {})).toEqual({
      target: image.target,
      platforms: [{ os: "linux", architecture: "amd64" }],
    });
    const byDigest = await pulling.resolve(parseReference(`${host}/team/app@${image.target.digest}`), {});
    expect(byDigest).toEqual(image);
  });

  test("what is not there is said as dockerd says it", async () => {
    await using registry = await DockerRegistry.start();
    if (!registry) return;
    const host = `localhost:${registry.port}`;
    await using here = temporaryContent();
    const { client } = clientFor(here.store);
    const message = (work: Promise<unknown>) => work.then(() => "", messageOf);
    expect(await message(client.resolve(parseReference(`${host}/x:y`), {}))).toBe(
      `manifest for ${host}/x:y not found: manifest unknown: manifest unknown (check name and tag: the registry has no such image)`,
    );
    expect(await message(client.listTags(parseReference(`${host}/none`), {}))).toBe(
      `repository ${host}/none not found: name unknown: repository name not known to registry (check the name: the registry has no such repository)`,
    );
    const missing = { mediaType: "x", digest: digestOf("missing"), size: 7 };
    expect(await message(client.fetch(parseReference(`${host}/x`), missing, {}))).toBe(
      "blob unknown: blob unknown to registry",
    );
    const bad = new TextEncoder().encode('{"schemaVersion":2}');
    const pushing = client.pushManifest(parseReference(`${host}/x:y`), bad, mediaTypes.ociManifest, {});
    expect(await message(pushing)).toContain("digest invalid: ");
  });

  test("uploads and downloads that are cut go on", async () => {
    await using registry = await DockerRegistry.start();
    if (!registry) return;
    await using here = temporaryContent();
    const { client, clock } = clientFor(here.store);
    const blob = await here.store.put(noise(6_000_000), mediaTypes.ociLayer);
    {
      await using proxy = await CuttingProxy.before(registry.port, {
        direction: "up",
        after: 2_000_000,
        times: 2,
      });
      expect(await client.push(parseReference(`localhost:${proxy.port}/app`), blob, {})).toBe("uploaded");
      expect(proxy.cuts).toBe(2);
      expect(clock.slept.length).toBeGreaterThanOrEqual(2);
    }
    await using there = temporaryContent();
    await using proxy = await CuttingProxy.before(registry.port, {
      direction: "down",
      after: 2_000_000,
      times: 2,
    });
    await clientFor(there.store).client.fetch(parseReference(`localhost:${proxy.port}/app`), blob, {});
    expect(there.store.stat(blob.digest)?.size).toBe(6_000_000);
    expect(proxy.cuts).toBe(2);
  });

  test("a password is asked for, checked and used", async () => {
    await using registry = await DockerRegistry.start({ user: "secret" });
    if (!registry) return;
    const host = `localhost:${registry.port}`;
    await using here = temporaryContent();
    const { config, layers, document } = await makeImage(here.store);
    const { client } = clientFor(here.store);
    const good = { username: "user", password: "secret" };
    const bad = { username: "user", password: "wrong" };
    const ref = parseReference(`${host}/app:1`);
    const failure = (work: Promise<unknown>) =>
      work.then(
        () => "",
        (error: unknown) => [codeOf(error), messageOf(error)],
      );
    expect(await failure(client.resolve(ref, {}))).toEqual([
      "unauthorized",
      `Head "http://${host}/v2/app/manifests/1": no basic auth credentials (log in with: tug login ${host})`,
    ]);
    expect(await failure(client.resolve(ref, { auth: bad }))).toEqual([
      "unauthorized",
      `unauthorized: authentication required (log in with: tug login ${host})`,
    ]);
    expect(await failure(client.push(ref, config, {}))).toEqual([
      "unauthorized",
      `no basic auth credentials (log in with: tug login ${host})`,
    ]);
    expect(await failure(client.login(host, bad))).toEqual([
      "unauthorized",
      `login attempt to http://${host}/v2/ failed with status: 401 Unauthorized (check user name and password, or use an access token)`,
    ]);
    expect(await client.login(host, good)).toEqual({ status: "Login Succeeded" });
    for (const blob of [config, ...layers])
      expect(await client.push(ref, blob, { auth: good })).toBe("uploaded");
    await client.pushManifest(ref, document, mediaTypes.ociManifest, { auth: good });
    expect((await client.resolve(ref, { auth: good })).layers).toEqual(layers);
  });

  test("skopeo reads what was pushed, and what skopeo pushed is pulled", async () => {
    const skopeo = Bun.which("skopeo");
    if (!skopeo) return console.log("skipped: skopeo is not installed");
    await using registry = await DockerRegistry.start();
    if (!registry) return;
    const host = `localhost:${registry.port}`;
    await using here = temporaryContent();
    const { config, layers, document } = await makeImage(here.store);
    const layout = join(here.root, "layout");
    mkdirSync(join(layout, "blobs"), { recursive: true });
    const manifest = await here.store.put(document, mediaTypes.ociManifest);
    cpSync(join(here.root, "blobs", "sha256"), join(layout, "blobs", "sha256"), { recursive: true });
    writeFileSync(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
    writeFileSync(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
    const run = async (...args: string[]) => {
      const child = Bun.spawn([skopeo, "--insecure-policy", ...args], { stdout: "ignore", stderr: "pipe" });
      const complaint = await new Response(child.stderr).text();
      if ((await child.exited) !== 0) throw new Error(complaint);
    };
    for (const [tag, format] of [
      ["oci", "oci"],
      ["docker", "v2s2"],
    ] as const) {
      await run(
        "copy",
        "--format",
        format,
        "--dest-tls-verify=false",
        `oci:${layout}`,
        `docker://${host}/app:${tag}`,
      );
      await using there = temporaryContent();
      const { client } = clientFor(there.store);
      const ref = parseReference(`${host}/app:${tag}`);
      const image = await client.resolve(ref, {});
      for (const blob of [image.config, ...image.layers]) await client.fetch(ref, blob, {});
      expect(image.layers.map((each) => each.digest)).toEqual(layers.map((each) => each.digest));
      expect(image.manifest.mediaType).toBe(
        format === "oci" ? mediaTypes.ociManifest : mediaTypes.dockerManifest,
      );
    }
    const { client } = clientFor(here.store);
    await pushAll(client, `${host}/ours:1`, [config, ...layers], document);
    const copy = join(here.root, "copy");
    await run("copy", "--src-tls-verify=false", `docker://${host}/ours:1`, `oci:${copy}`);
    for (const layer of layers) {
      expect(await Bun.file(join(copy, "blobs", "sha256", splitDigest(layer.digest).hex)).exists()).toBe(
        true,
      );
    }
    rmSync(copy, { recursive: true });
  });
});
