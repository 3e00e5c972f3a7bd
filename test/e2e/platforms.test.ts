import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { TestDaemon } from "../harness/daemon.ts";
import { digestInRegistry, type PublishedIndex, publishIndex } from "../harness/multi-platform.ts";
import { TestRegistry } from "../harness/registry.ts";

const missing = TestRegistry.missing();
if (missing) console.log(`skipped: multi-platform images: ${missing}`);
const host = process.arch === "arm64" ? "arm64" : "amd64";
const other = host === "amd64" ? "arm64" : "amd64";

interface PlatformManifest {
  readonly ID: string;
  readonly Kind: string;
  readonly Available: boolean;
  readonly ImageData?: { readonly Platform: { readonly architecture: string } };
}

/** Images of several platforms, from one registry to another and through archives, without losing their index. */
describe.skipIf(missing !== undefined)("multi-platform images", () => {
  let daemon: TestDaemon;
  let registry: TestRegistry;
  let second: TestRegistry;
  let app: string;
  let published: PublishedIndex;

  beforeAll(async () => {
    [daemon, registry, second] = await Promise.all([
      TestDaemon.start({ busybox: false }),
      TestRegistry.start(),
      TestRegistry.start(),
    ]);
    const tar = Bun.spawnSync([resolve(import.meta.dir, "../../scripts/busybox-image.sh")]).stdout;
    app = `${registry.address}/team/app:1`;
    // The other platform's files are of this one: what counts is what the documents say.
    published = await publishIndex(registry.address, "team/app", "1", {
      [host]: tar,
      [other]: tar.subarray(),
    });
  }, 120_000);
  afterEach(async () => {
    const ids = (await daemon.ok(["images", "-aq"])).split("\n").filter(Boolean);
    if (ids.length > 0) await daemon.ok(["rmi", "-f", ...new Set(ids)]);
  });
  afterAll(async () => {
    await Promise.all([daemon.close(), registry.close(), second.close()]);
  });

  const manifestsOf = async (name: string) => {
    const { body } = await daemon.api("GET", `/v1.51/images/${name}/json?manifests=1`);
    return (body as { Manifests: PlatformManifest[] }).Manifests;
  };

  test("a pull takes this host's platform and its attestation, and the name keeps the index", async () => {
    expect(await daemon.ok(["pull", app])).toContain(`Digest: ${published.index}`);
    expect(await daemon.ok(["run", "--rm", app, "echo", "it runs"])).toBe("it runs");
    expect(await manifestsOf(app)).toMatchObject([
      { ID: published.manifests[host], Kind: "image", Available: true },
      { ID: published.manifests[other], Kind: "image", Available: false },
      { ID: published.attestation, Kind: "attestation", Available: true },
    ]);
    const name = `${registry.address}/team/app`;
    for (const word of [published.index, `${name}@${published.index}`, published.index.slice(7, 20)]) {
      expect(await daemon.ok(["image", "inspect", "-f", "{{.Descriptor.digest}}", word])).toBe(
        published.index,
      );
    }
    for (const word of [published.manifests[host] ?? "", `${name}@${published.manifests[host]}`]) {
      expect(await daemon.ok(["image", "inspect", "-f", "{{.Descriptor.digest}}", word])).toBe(
        published.manifests[host] ?? "",
      );
    }
    expect(await daemon.ok(["pull", app])).toContain("Image is up to date");
    const listed = await daemon.api("GET", "/v1.54/images/json?manifests=1&identity=1");
    expect(listed.body).toMatchObject([
      { Manifests: [{ ImageData: { Identity: { Pull: [{ Repository: name }] } } }, {}, {}] },
    ]);
    const { body } = await daemon.api("GET", `/v1.54/images/${app}/attestations?statement=1`);
    expect(body).toMatchObject([
      { PredicateType: "https://slsa.dev/provenance/v0.2", Statement: published.provenance },
    ]);
  });

  test("a second platform joins the same image; each is run, inspected and removed by its name", async () => {
    await daemon.ok(["pull", "-q", app]);
    const before = await daemon.ok(["images", "-q", "--no-trunc"]);
    expect(await daemon.ok(["pull", "--platform", `linux/${other}`, app])).toContain(
      "Downloaded newer image",
    );
    expect(await daemon.ok(["images", "-q", "--no-trunc"])).toBe(before);
    expect((await daemon.ok(["images", "--tree"])).match(/─ linux\/\w+/g)?.sort()).toEqual([
      "─ linux/amd64",
      "─ linux/arm64",
    ]);
    const arch = (platform: string) =>
      daemon.ok([
        "image",
        "inspect",
        "--platform",
        platform,
        "-f",
        "{{.Architecture}} {{.Descriptor.digest}}",
        app,
      ]);
    expect(await arch(`linux/${other}`)).toBe(`${other} ${published.manifests[other]}`);
    expect(await arch(`linux/${host}`)).toBe(`${host} ${published.manifests[host]}`);
    expect(
      await daemon.ok(["history", "--platform", `linux/${other}`, "--format", "{{.CreatedBy}}", app]),
    ).toBe(`built for ${other}`);
    const foreign = await daemon.tug(["image", "inspect", "--platform", "linux/s390x", app]);
    expect(foreign.stderr).toContain("was found but does not provide the specified platform (linux/s390x)");
    const asked = await daemon.tug(["create", "--name", "foreign", "--platform", `linux/${other}`, app]);
    expect(asked).toMatchObject({ code: 0, stderr: "" });
    const by = ["ps", "-a", "--filter", `ancestor=${app}`, "--format", "{{.Names}} {{.Image}}"];
    expect(await daemon.ok(by)).toBe(`foreign ${app}`);
    const used = await daemon.tug(["rmi", "--platform", `linux/${other}`, app]);
    expect(used.stderr).toContain("image is being used by stopped container");
    await daemon.ok(["rm", "foreign"]);
    const alone = `${app.replace(/:1$/, "")}@${published.manifests[other]}`;
    const unasked = await daemon.tug(["create", "--name", "foreign", alone]);
    expect(unasked.stderr).toContain(
      `WARNING: The requested image's platform (linux/${other}) does not match the detected host platform (linux/${host}) and no specific platform was requested`,
    );
    await daemon.ok(["rm", "foreign"]);
    expect(await daemon.ok(["rmi", "--platform", `linux/${other}`, app])).toContain(
      `Deleted: ${published.manifests[other]}`,
    );
    expect((await manifestsOf(app)).map((one) => one.Available)).toEqual([true, false, true]);
    expect(await daemon.ok(["run", "--rm", app, "echo", "still here"])).toBe("still here");
    await daemon.ok(["pull", "-q", "--platform", `linux/${other}`, app]);
    const one = `${app.replace(/:1$/, "")}@${published.manifests[other]}`;
    for (const word of [one, published.manifests[other]?.slice(7, 30) ?? ""]) {
      expect(await daemon.ok(["rmi", word])).toContain(`Deleted: ${published.manifests[other]}`);
      await daemon.ok(["pull", "-q", "--platform", `linux/${other}`, app]);
    }
    const removed = await daemon.ok(["rmi", app]);
    expect(removed.match(/^Deleted: /gm)?.length).toBeGreaterThanOrEqual(3);
    expect(await daemon.ok(["images", "-aq"])).toBe("");
  });

  test("platforms pulled side by side all stay, also over a restart of the daemon", async () => {
    const pulls = [host, other, host].map((arch) =>
      daemon.ok(["pull", "-q", "--platform", `linux/${arch}`, app]),
    );
    await Promise.all(pulls);
    const whole = [true, true, true];
    expect((await manifestsOf(app)).map((one) => one.Available)).toEqual(whole);
    await daemon.crash();
    await daemon.up();
    expect((await manifestsOf(app)).map((one) => one.Available)).toEqual(whole);
    expect(await daemon.ok(["images", "--format", "{{.Repository}}:{{.Tag}}"])).toBe(app);
    // An older name of the same documents holds them when the newer one goes.
    await daemon.ok(["tag", app, "kept:1"]);
    await daemon.ok(["rmi", app]);
    expect((await manifestsOf("kept:1")).map((one) => one.Available)).toEqual(whole);
    await daemon.ok(["image", "prune", "-af"]);
    expect(await daemon.ok(["images", "-aq"])).toBe("");
    expect(readdirSync(join(daemon.dataRoot, "content/blobs/sha256"))).toEqual([]);
  });

  test("a push keeps the digest: of the whole image, in the same registry and in another", async () => {
    await daemon.ok(["pull", "-q", app]);
    for (const [to, name] of [
      [registry, "copy/same"],
      [second, "copy/other"],
    ] as const) {
      await daemon.ok(["tag", app, `${to.address}/${name}:x`]);
      const said = await daemon.ok(["push", `${to.address}/${name}:x`]);
      expect(said).toContain(`x: digest: ${published.index}`);
      expect(await digestInRegistry(to.address, name, "x")).toBe(published.index);
      for (const digest of [...Object.values(published.manifests), published.attestation]) {
        expect(await digestInRegistry(to.address, name, digest)).toBe(digest);
      }
    }
    // What was only carried through is not kept.
    expect((await manifestsOf(app)).map((one) => one.Available)).toEqual([true, false, true]);
  });

  test("when nobody has the rest, the platform that is here is pushed, and the client is told", async () => {
    const gone = await TestRegistry.start();
    const name = `${gone.address}/team/app:1`;
    const tar = new Uint8Array(10_240);
    let image: PublishedIndex;
    try {
      image = await publishIndex(gone.address, "team/app", "1", { [host]: tar, [other]: tar });
      await daemon.ok(["pull", "-q", name]);
    } finally {
      await gone.close();
    }
    await daemon.ok(["tag", name, `${second.address}/part:x`]);
    expect(await daemon.ok(["push", `${second.address}/part:x`])).toContain(
      "Not all multiplatform-content is present and only the available single-platform image was pushed",
    );
    expect(await digestInRegistry(second.address, "part", "x")).toBe(image.manifests[host]);
  });

  test("one platform is pushed alone with --platform", async () => {
    await daemon.ok(["pull", "-q", app]);
    await daemon.ok(["tag", app, `${second.address}/alone:x`]);
    await daemon.ok(["push", "-q", "--platform", `linux/${host}`, `${second.address}/alone:x`]);
    expect(await digestInRegistry(second.address, "alone", "x")).toBe(published.manifests[host]);
    const absent = await daemon.tug(["push", "--platform", `linux/${other}`, `${second.address}/alone:x`]);
    expect(absent.stderr).toContain("does not provide the specified platform");
  });

  test("an index goes through an archive and back into a registry with its digest", async () => {
    await daemon.ok(["pull", "-q", app]);
    await daemon.ok(["pull", "-q", "--platform", `linux/${other}`, app]);
    const whole = join(daemon.root, "whole.tar");
    const part = join(daemon.root, "part.tar");
    await daemon.ok(["save", "-o", whole, app]);
    await daemon.ok(["save", "--platform", `linux/${other}`, "-o", part, app]);
    await daemon.ok(["rmi", app]);
    expect(await daemon.ok(["load", "-i", whole])).toBe(`Loaded image: ${app}`);
    expect(await daemon.ok(["image", "inspect", "-f", "{{.Descriptor.digest}}", app])).toBe(published.index);
    await daemon.ok(["tag", app, `${second.address}/loaded:x`]);
    await daemon.ok(["push", "-q", `${second.address}/loaded:x`]);
    expect(await digestInRegistry(second.address, "loaded", "x")).toBe(published.index);
    await daemon.ok(["rmi", app, `${second.address}/loaded:x`]);
    await daemon.ok(["load", "-i", part]);
    expect(await daemon.ok(["image", "inspect", "-f", "{{.Architecture}}", app])).toBe(other);
    const wrong = await daemon.tug(["load", "--platform", "linux/s390x", "-i", whole]);
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain("no image found in the archive for platform linux/s390x");
  });

  test("several platforms are saved and loaded at once: listed, or told one by one", async () => {
    const name = `${registry.address}/team/three:1`;
    const third = "riscv64";
    await publishIndex(registry.address, "team/three", "1", {
      [host]: new Uint8Array(10_240),
      [other]: new Uint8Array(10_240),
      [third]: new Uint8Array(10_240),
    });
    for (const each of [host, other, third])
      await daemon.ok(["pull", "-q", "--platform", `linux/${each}`, name]);
    const here = async () =>
      (await manifestsOf(name))
        .filter((one) => one.Available && one.Kind === "image")
        .map((one) => one.ImageData?.Platform.architecture);
    const [whole, two] = ["three.tar", "two.tar"].map((file) => join(daemon.root, file));
    await daemon.ok(["save", "-o", whole ?? "", name]);
    await daemon.ok(["save", "--platform", `linux/${other},linux/${third}`, "-o", two ?? "", name]);
    await daemon.ok(["rmi", name]);
    await daemon.ok(["load", "-i", two ?? ""]);
    expect(new Set(await here())).toEqual(new Set([other, third]));
    await daemon.ok(["rmi", name]);
    await daemon.ok([
      ...["load", "-i", whole ?? "", "--platform", `linux/${host}`],
      ...["--platform", `linux/${third}`],
    ]);
    expect(new Set(await here())).toEqual(new Set([host, third]));
    const wrong = await daemon.tug(["save", "--platform", `linux/${host},/`, "-o", two ?? "", name]);
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining("invalid platform: ")]);
    await daemon.ok(["rmi", name]);
  });
});
