import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, TestDaemon } from "../harness/daemon.ts";
import { freePort, TestRegistry } from "../harness/registry.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

/** Every image but busybox goes. */
async function removeImages(): Promise<void> {
  const references = (
    await daemon.ok(["images", "-a", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"])
  ).split("\n");
  for (const line of references) {
    const [reference = "", id = ""] = line.split(" ");
    if (reference !== "busybox:latest")
      await daemon.ok(["rmi", "-f", reference.includes("<none>") ? id : reference]);
  }
}
const layers = () => readdirSync(join(daemon.dataRoot, "overlay2")).length;

describe("local images", () => {
  afterEach(removeImages);

  test("images lists name, tag, id, age and size", async () => {
    const lines = (await daemon.ok(["images"])).split("\n");
    expect(lines[0]).toMatch(/^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE$/);
    expect(lines[1]).toMatch(
      /^busybox +latest +[0-9a-f]{12} +(Less than a second|About a minute|\d+ \w+) ago +\d+(\.\d+)?MB$/,
    );
    expect(await daemon.ok(["images", "-q", "--no-trunc"])).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  test("tag adds a name, rmi takes it away, the last one deletes the image", async () => {
    await daemon.ok(["tag", "busybox", "other/name:v1"]);
    expect(await daemon.ok(["images", "-q", "other/name"])).toBe(
      await daemon.ok(["images", "-q", "busybox"]),
    );
    expect(await daemon.ok(["rmi", "other/name:v1"])).toBe("Untagged: other/name:v1");
    const missing = await daemon.tug(["rmi", "nosuch"]);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain("No such image: nosuch");
    expect((await daemon.tug(["tag", "busybox", "UPPER"])).stderr).toContain("repository name");
  });

  test("rmi refuses the image of a running container", async () => {
    await daemon.ok(["run", "-d", "--name", "user", "busybox", "sleep", "1000"]);
    const refused = await daemon.tug(["rmi", "busybox"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(
      'conflict: unable to remove repository reference "busybox" (must force) - container',
    );
  });

  test("save and load carry an image; two containers share its layers", async () => {
    const before = layers();
    const tar = join(daemon.root, "saved.tar");
    await daemon.ok(["tag", "busybox", "saved:1"]);
    await daemon.ok(["save", "-o", tar, "saved:1"]);
    const members = (await run(["tar", "-tf", tar])).stdout;
    for (const name of ["manifest.json", "index.json", "oci-layout"]) expect(members).toContain(name);
    await daemon.ok(["rmi", "saved:1"]);
    expect(await daemon.ok(["load", "-i", tar])).toBe("Loaded image: saved:1");
    expect(await daemon.ok(["run", "--rm", "saved:1", "echo", "loaded"])).toBe("loaded");
    expect(layers()).toBe(before);
    await daemon.ok(["run", "-d", "saved:1", "sleep", "1000"]);
    await daemon.ok(["run", "-d", "saved:1", "sleep", "1000"]);
    const size = Number((await run(["du", "-sk", join(daemon.dataRoot, "overlay2")])).stdout.split("\t")[0]);
    expect(size).toBeLessThan(2 * 2200 + 1000);
  });

  test("skopeo reads what save wrote", async () => {
    const tar = join(daemon.root, "for-skopeo.tar");
    await daemon.ok(["save", "-o", tar, "busybox"]);
    const result = await run(["skopeo", "inspect", "--config", `docker-archive:${tar}`]);
    expect(JSON.parse(result.stdout).config.Cmd).toEqual(["sh"]);
  });

  test("a corrupt or cut-off archive is refused and leaves nothing", async () => {
    const tar = join(daemon.root, "whole.tar");
    await daemon.ok(["save", "-o", tar, "busybox"]);
    const before = layers();
    const bytes = readFileSync(tar);
    const cases: [string, Uint8Array][] = [
      ["cut", bytes.subarray(0, Math.floor(bytes.length / 2))],
      ["noise", Buffer.alloc(100_000, 7)],
      ["empty", new Uint8Array()],
    ];
    const flipped = Buffer.from(bytes);
    const middle = Math.floor(bytes.length / 2);
    flipped[middle] = (flipped[middle] ?? 0) ^ 0xff;
    cases.push(["flipped", flipped]);
    await daemon.ok(["tag", "busybox", "keep:1"]);
    for (const [name, content] of cases) {
      const path = join(daemon.root, `${name}.tar`);
      writeFileSync(path, content);
      const result = await daemon.tug(["load", "-i", path]);
      expect({ name, code: result.code }).toEqual({ name, code: 1 });
      expect(layers()).toBe(before);
    }
    expect(readdirSync(join(daemon.dataRoot, "content", "ingest"))).toEqual([]);
  });

  test("import makes a runnable image with the given config", async () => {
    const tar = Bun.spawnSync(["bash", join(import.meta.dir, "../../scripts/busybox-image.sh")]).stdout;
    const flags = [
      "--change",
      "ENV GREETING=hi",
      "--change",
      'ENTRYPOINT ["sh","-c"]',
      "--change",
      'CMD ["echo $GREETING $PWD"]',
      "--change",
      "WORKDIR /tmp",
    ];
    await daemon.ok(["import", ...flags, "-", "made:1"], { input: tar });
    expect(await daemon.ok(["run", "--rm", "made:1"])).toBe("hi /tmp");
  });
});

const missing = TestRegistry.missing();
if (missing) console.log(`skipped: pulling from a registry: ${missing}`);
describe.skipIf(missing !== undefined)("pulling from a registry", () => {
  let registry: TestRegistry;
  let archive: string;
  beforeAll(async () => {
    registry = await TestRegistry.start();
    archive = join(daemon.root, "busybox.tar");
    await daemon.ok(["save", "-o", archive, "busybox"]);
  });
  afterAll(() => registry.close());
  afterEach(removeImages);

  for (const format of ["oci", "v2s2"]) {
    test(`a ${format} manifest, pulled, run, and up to date the second time`, async () => {
      const name = `${registry.address}/test/${format}:1`;
      await registry.push(`docker-archive:${archive}`, `test/${format}:1`, "--format", format);
      const out = await daemon.ok(["pull", name]);
      expect(out).toContain(`1: Pulling from test/${format}`);
      expect(out).toMatch(/Digest: sha256:[0-9a-f]{64}/);
      expect(out).toContain(`Status: Downloaded newer image for ${name}`);
      expect(await daemon.ok(["run", "--rm", name, "echo", "pulled"])).toBe("pulled");
      expect(await daemon.ok(["pull", name])).toContain(`Status: Image is up to date for ${name}`);
    });
  }

  test("zstd layers, and pulling by digest", async () => {
    // A layer of its own: skopeo remembers for the machine which forms of a layer a registry has, and offers zstd where a v2s2 manifest cannot have it.
    const [root, own] = [join(daemon.root, "root.tar"), join(daemon.root, "own.tar")];
    await daemon.ok(["run", "--name", "own", "busybox", "sh", "-c", "date +%N >/own"]);
    await daemon.ok(["export", "-o", root, "own"]);
    await daemon.ok(["import", root, "own:1"]);
    await daemon.ok(["save", "-o", own, "own:1"]);
    await registry.push(
      `docker-archive:${own}`,
      "test/zstd:1",
      "--format",
      "oci",
      "--dest-compress-format",
      "zstd",
    );
    const name = `${registry.address}/test/zstd`;
    const digest = /Digest: (sha256:[0-9a-f]{64})/.exec(await daemon.ok(["pull", `${name}:1`]))?.[1];
    await daemon.ok(["rmi", `${name}:1`]);
    await daemon.ok(["pull", `${name}@${digest}`]);
    expect(await daemon.ok(["run", "--rm", `${name}@${digest}`, "echo", "by digest"])).toBe("by digest");
  });

  test("run pulls what is missing, and --pull never does not", async () => {
    await registry.push(`docker-archive:${archive}`, "test/auto:1");
    const name = `${registry.address}/test/auto:1`;
    const never = await daemon.tug(["run", "--rm", "--pull", "never", name, "true"]);
    expect(never.code).toBe(125);
    const result = await daemon.tug(["run", "--rm", name, "echo", "fetched"]);
    expect(result.stdout).toBe("fetched\n");
    expect(result.stderr).toContain(`Unable to find image '${name}' locally`);
  });

  test("push sends an image that another engine can pull", async () => {
    const name = `${registry.address}/test/pushed:1`;
    await daemon.ok(["tag", "busybox", name]);
    const out = await daemon.ok(["push", name]);
    expect(out).toMatch(/1: digest: sha256:[0-9a-f]{64} size: \d+/);
    const copied = await run(["skopeo", "inspect", "--tls-verify=false", `docker://${name}`]);
    expect(JSON.parse(copied.stdout).Layers.length).toBe(1);
  });

  test("unknown repository, unknown tag, unreachable registry: Docker's words, nothing left", async () => {
    const before = layers();
    const tag = await daemon.tug(["pull", `${registry.address}/test/nosuch:1`]);
    expect(tag.code).toBe(1);
    expect(tag.stderr).toContain(
      `manifest for ${registry.address}/test/nosuch:1 not found: manifest unknown: manifest unknown`,
    );
    const port = freePort();
    const dead = await daemon.tug(["pull", `127.0.0.1:${port}/x:1`]);
    expect(dead.code).toBe(1);
    expect(dead.stderr).toContain("connection refused");
    expect(layers()).toBe(before);
  });

  test("a blob whose bytes do not match its digest is refused and nothing is kept", async () => {
    // An image whose layer this daemon does not have, so that it must be fetched.
    const unique = join(daemon.root, "unique");
    mkdirSync(unique);
    writeFileSync(join(unique, "noise"), crypto.getRandomValues(new Uint8Array(60_000)));
    writeFileSync(join(unique, "more"), Buffer.alloc(300_000, "x"));
    const tar = Bun.spawnSync(["tar", "-C", unique, "-cf", "-", "."]).stdout;
    await daemon.ok(["import", "-", "evil:1"], { input: tar });
    const evilArchive = join(daemon.root, "evil.tar");
    await daemon.ok(["save", "-o", evilArchive, "evil:1"]);
    await daemon.ok(["rmi", "evil:1"]);
    await registry.push(`docker-archive:${evilArchive}`, "test/evil:1");
    const before = layers();
    const blobs = join(registry.root, "data/docker/registry/v2/blobs/sha256");
    const files = (await run(["find", blobs, "-name", "data", "-size", "+50k"])).stdout.trim().split("\n");
    const originals = files.map((file) => [file, readFileSync(file)] as const);
    try {
      for (const [file, bytes] of originals) {
        const evil = Buffer.from(bytes);
        evil[1000] = (evil[1000] ?? 0) ^ 1;
        writeFileSync(file, evil);
      }
      const result = await daemon.tug(["pull", `${registry.address}/test/evil:1`]);
      expect(result.code).toBe(1);
      expect(result.stderr).toMatch(/verification failed|digest|unexpected/i);
      expect(layers()).toBe(before);
      expect((await daemon.tug(["image", "inspect", `${registry.address}/test/evil:1`])).code).toBe(1);
    } finally {
      for (const [file, bytes] of originals) writeFileSync(file, bytes);
    }
  });

  test("a registry that asks for a password: refused without, served after login", async () => {
    const secured = await TestRegistry.start({ users: { alice: "s3cret" } });
    const config = join(daemon.root, "docker-config");
    try {
      await secured.push(`docker-archive:${archive}`, "private:1", "--dest-creds", "alice:s3cret");
      const name = `${secured.address}/private:1`;
      const refused = await daemon.tug(["pull", name], { env: { DOCKER_CONFIG: config } });
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/no basic auth credentials|unauthorized|authentication required/);
      const wrong = await daemon.tug(["login", "-u", "alice", "--password-stdin", secured.address], {
        input: "nope\n",
        env: { DOCKER_CONFIG: config },
      });
      expect(wrong.code).toBe(1);
      const login = await daemon.tug(["login", "-u", "alice", "--password-stdin", secured.address], {
        input: "s3cret\n",
        env: { DOCKER_CONFIG: config },
      });
      expect(login.stdout).toContain("Login Succeeded");
      expect(statSync(join(config, "config.json")).mode & 0o077).toBe(0);
      expect((await daemon.tug(["pull", name], { env: { DOCKER_CONFIG: config } })).code).toBe(0);
    } finally {
      await secured.close();
    }
  });
});
