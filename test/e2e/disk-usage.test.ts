import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomNumbers } from "../../src/base/lib/testdata/random-numbers.ts";
import { eventually, TestDaemon, tugBinary } from "../harness/daemon.ts";

let daemon: TestDaemon;
let here = "";
beforeAll(async () => {
  daemon = await TestDaemon.start({ busybox: false, flags: ["--max-download-attempts", "1"] });
  here = mkdtempSync("/tmp/tug-e2e-usage-");
}, 120_000);
afterAll(async () => {
  rmSync(here, { recursive: true, force: true });
  await daemon.close();
});

/** The parts of the data root whose size objects account for; databases, keys and logs are the engine's own. */
const builders = ["contexts", "downloads/blobs", "git/repositories", "cache-mounts"].map(
  (name) => `build/${name}`,
);
const parts = ["content", "overlay2", "volumes", ...builders];
const block = 4096;

function du(path: string): number {
  const result = Bun.spawnSync(["du", "-s", "-B1", path]);
  if (result.exitCode !== 0) throw new Error(result.stderr.toString());
  return Number.parseInt(result.stdout.toString(), 10);
}

const partSizes = () => Object.fromEntries(parts.map((part) => [part, du(join(daemon.dataRoot, part))]));

interface Sums {
  readonly TotalSize: number;
  readonly Reclaimable: number;
  readonly TotalCount: number;
}

interface Usage {
  readonly ImageUsage: Sums;
  readonly ContainerUsage: Sums & {
    readonly Items: readonly { readonly Id: string; readonly SizeRw: number }[];
  };
  readonly VolumeUsage: Sums & {
    readonly Items: readonly { readonly Mountpoint: string; readonly UsageData: { readonly Size: number } }[];
  };
  readonly BuildCacheUsage: Sums & { readonly Items: readonly { readonly Type: string }[] };
}

async function usage(): Promise<Usage> {
  const reply = await daemon.api("GET", "/v1.52/system/df?verbose=true");
  expect(reply.status).toBe(200);
  return reply.body as Usage;
}

async function upperDir(container: string): Promise<string> {
  return await daemon.ok(["inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", container]);
}

/**
 * What `system df` says beside what du(1) says. A container's and a volume's size are du's to the byte. The sums differ from
 * du of the whole folders by what is nobody's: three directories around each snapshot, one around each volume, and up to a
 * block for each blob, since a blob counts with its length. What builds keep counts with theirs, steps' trees and what lies in
 * directories of their own.
 */
async function compared(base: Readonly<Record<string, number>>): Promise<Usage> {
  const told = await usage();
  for (const { Id, SizeRw } of told.ContainerUsage.Items) expect(SizeRw).toBe(du(await upperDir(Id)));
  for (const { Mountpoint, UsageData } of told.VolumeUsage.Items) expect(UsageData.Size).toBe(du(Mountpoint));
  const now = partSizes();
  const grown = (part: string) => (now[part] ?? 0) - (base[part] ?? 0);
  const blobs = readdirSync(join(daemon.dataRoot, "content/blobs/sha256")).length;
  const snapshots = readdirSync(join(daemon.dataRoot, "overlay2"));
  // The kernel leaves a mark beside what was written without waiting for the disk: two directories more.
  const steps = snapshots.filter((name) =>
    existsSync(join(daemon.dataRoot, "overlay2", name, "work/work/incompat")),
  );
  const sums = [told.ImageUsage, told.ContainerUsage, told.BuildCacheUsage];
  const layers = sums.reduce((bytes, { TotalSize }) => bytes + TotalSize, 0);
  const builds = builders.reduce((bytes, part) => bytes + grown(part), 0);
  const difference = grown("content") + grown("overlay2") + builds - layers;
  expect(difference).toBeGreaterThanOrEqual(0);
  // A cache mount and its record lie in a directory.
  const mounts = readdirSync(join(daemon.dataRoot, "build/cache-mounts")).length;
  expect(difference).toBeLessThanOrEqual(
    block * (blobs + 3 * snapshots.length + 2 * steps.length + 2 * mounts),
  );
  expect(grown("volumes")).toBe(told.VolumeUsage.TotalSize + block * told.VolumeUsage.TotalCount);
  return told;
}

/** A container that wrote of everything that can be counted wrongly: many small files, a hard link, holes, a removed file. */
const writes = [
  "head -c 3000000 /dev/urandom > /large",
  "ln /large /again",
  "dd if=/dev/zero of=/holes bs=1 count=1 seek=5000000 2>/dev/null",
  "mkdir /many && for i in $(seq 300); do echo $i > /many/$i; done",
  "rm /etc/nsswitch.conf",
].join(" && ");

test("system df agrees with du after every step, and nothing is left when everything is removed", async () => {
  const base = partSizes();
  await agree(base);
  await daemon.importBusybox();
  expect((await agree(base)).ImageUsage.TotalCount).toBe(1);

  writeFileSync(join(here, "outside"), Buffer.alloc(4_000_000, 1));
  const volumes = ["-v", "named:/named", "-v", "/anonymous", "-v", `${here}:/bind`];
  const fill = "head -c 2000000 /dev/urandom > /named/f; echo x > /anonymous/f; cp /bind/outside /bind/copy";
  await daemon.ok(["run", "--name", "writer", ...volumes, "busybox", "sh", "-c", `${writes} && ${fill}`]);
  const one = await agree(base);
  expect(one.ContainerUsage.TotalSize).toBeGreaterThan(3_000_000);
  // Neither the hole nor what lies on a bind mount takes any of the data root.
  expect(one.ContainerUsage.TotalSize).toBeLessThan(5_000_000);
  expect(one.VolumeUsage.TotalCount).toBe(2);

  await daemon.ok(["run", "-d", "--name", "runs", "-v", "named:/n:ro", "busybox", "sleep", "1000"]);
  const running = await agree(base);
  expect(running.ContainerUsage.Reclaimable).toBe(one.ContainerUsage.TotalSize);
  expect(running.ImageUsage.Reclaimable).toBe(0);
  expect(await daemon.ok(["system", "df", "--format", "{{.Type}} {{.Reclaimable}}"])).toContain(
    "Images 0B (0%)",
  );

  // Two images that share all but their last layer, and a third name: shared layers count once.
  await daemon.ok(["commit", "writer", "first"]);
  const first = await agree(base);
  await daemon.ok(["run", "--name", "second", "first", "sh", "-c", "head -c 1000000 /dev/urandom > /more"]);
  await daemon.ok(["commit", "second", "second"]);
  await daemon.ok(["tag", "second", "third"]);
  const second = await agree(base);
  expect(second.ImageUsage.TotalSize - first.ImageUsage.TotalSize).toBeLessThan(2_200_000);
  // What counts as reclaimable is what goes: the second image alone is unused, its layer and blobs are its own.
  expect(second.ImageUsage.Reclaimable).toBeLessThan(2_200_000);
  expect(await daemon.ok(["system", "df", "--format", "{{.Type}} {{.Active}} {{.TotalCount}}"])).toContain(
    "Images 2 3",
  );

  await daemon.ok(["save", "-o", join(here, "images.tar"), "first", "second"]);
  await daemon.ok(["rm", "-f", "second"]);
  await daemon.ok(["rmi", "second", "third"]);
  await eventually("the layer of the removed image is gone", async () => {
    return (await usage()).ImageUsage.TotalSize === first.ImageUsage.TotalSize;
  });
  await agree(base);
  await daemon.ok(["load", "-i", join(here, "images.tar")]);
  await agree(base);

  await daemon.restart();
  await agree(base);
  await daemon.ok(["container", "prune", "-f"]);
  await daemon.ok(["image", "prune", "-a", "-f"]);
  await daemon.ok(["volume", "prune", "-a", "-f"]);
  const kept = await agree(base);
  expect(kept.ContainerUsage.TotalCount).toBe(1);
  expect(kept.ImageUsage.TotalCount).toBe(1);
  expect(kept.VolumeUsage.TotalCount).toBe(1);
  await daemon.ok(["rm", "-f", "runs"]);
  await daemon.ok(["system", "prune", "-a", "-f", "--volumes"]);
  await daemon.ok(["volume", "rm", "named"]);
  await isAgain(base);
  const gone = await usage();
  for (const sums of [gone.ImageUsage, gone.ContainerUsage, gone.VolumeUsage]) {
    expect(sums).toMatchObject({ TotalSize: 0, TotalCount: 0, Reclaimable: 0 });
  }
}, 120_000);

const dockerfile = (seed: number) => `
FROM busybox AS first
RUN --mount=type=cache,target=/cache head -c 200000 /dev/urandom >/cache/${seed % 3} && echo ${seed} >/seed
FROM busybox
COPY files /files
COPY --from=first /seed /seed
RUN head -c 300000 /dev/urandom >/large && rm -f /etc/group
`;

/** A context whose files change with the seed. */
async function build(seed: number, ...args: string[]) {
  const context = join(here, "context");
  mkdirSync(join(context, "files"), { recursive: true });
  writeFileSync(join(context, "files", `${seed % 4}`), Buffer.alloc(50_000, seed));
  // So many that the versions of the copy share what stays the same.
  for (let number = 0; number < 50; number++) {
    mkdirSync(join(context, "files/same"), { recursive: true });
    const path = join(context, "files/same", `${number}`);
    if (!existsSync(path)) writeFileSync(path, Buffer.alloc(9_000, number));
  }
  writeFileSync(join(context, "Dockerfile"), dockerfile(seed));
  return await daemon.tug(["build", "-q", ...args, context]);
}

test("what builds keep counts as build cache until an image has it, is pruned on demand, and told of", async () => {
  const base = partSizes();
  await daemon.importBusybox();
  const before = await agree(base);
  const url = served(Buffer.alloc(100_000, 1));
  expect(await build(1, "-t", "built")).toMatchObject({ code: 0, stderr: "" });
  const built = await agree(base);
  // The image has the layers of its own stage; the cache has the other stage's, the context and the cache mount.
  expect(built.ImageUsage.TotalSize - before.ImageUsage.TotalSize).toBeGreaterThan(300_000);
  expect(built.BuildCacheUsage.TotalSize).toBeGreaterThan(250_000);
  expect(built.BuildCacheUsage.Items.map(({ Type }) => Type)).toContain("source.local");
  const fromNet = `FROM busybox\nADD ${url.address} /file\n`;
  await daemon.ok(["build", "-q", "-t", "net", "-"], { input: fromNet });
  url.stop();
  const net = await agree(base);
  // Without its image a layer is the cache's.
  await daemon.ok(["rmi", "built"]);
  const untagged = await agree(base);
  expect(untagged.ImageUsage.TotalSize).toBeLessThan(net.ImageUsage.TotalSize - 300_000);
  expect(untagged.BuildCacheUsage.TotalSize).toBeGreaterThan(net.BuildCacheUsage.TotalSize + 300_000);
  await daemon.ok(["run", "--rm", "net", "test", "-s", "/file"]);
  await daemon.restart();
  await agree(base);
  expect(await daemon.tug(["system", "check"])).toMatchObject({ code: 0 });
  await daemon.ok(["image", "prune", "-a", "-f"]);
  const pruned = await agree(base);
  expect(pruned.ImageUsage.TotalCount).toBe(0);
  expect(pruned.BuildCacheUsage.TotalCount).toBeGreaterThan(5);
  const since = Math.floor(Date.now() / 1000) - 1;
  await daemon.ok(["builder", "prune", "-a", "-f"]);
  await isAgain(base);
  expect((await usage()).BuildCacheUsage).toMatchObject({ TotalSize: 0, TotalCount: 0, Reclaimable: 0 });
  const told = ["events", "--since", `${since}`, "--until", `${Math.floor(Date.now() / 1000) + 1}`];
  const events = await daemon.ok([
    ...told,
    "--filter",
    "type=builder",
    "--format",
    "{{.Type}} {{.Action}} {{json .Actor.Attributes}}",
  ]);
  expect(events.split("\n").at(-1)).toMatch(/^builder prune \{"reclaimed":"[1-9]\d+"\}$/);
}, 120_000);

test("versions of a copy take space for what changed alone, and stay apart when they are used", async () => {
  const base = partSizes();
  await daemon.importBusybox();
  const context = join(here, "versions");
  for (let number = 0; number < 60; number++) {
    mkdirSync(join(context, "app/lib"), { recursive: true });
    writeFileSync(join(context, "app/lib", `${number}`), `${number}\n`.padEnd(20_000, "x"));
  }
  writeFileSync(join(context, "Dockerfile"), "FROM busybox\nCOPY . /srv\n");
  const sizes: number[] = [];
  for (const version of ["1", "2", "3"]) {
    writeFileSync(join(context, "app/lib/0"), `version ${version}\n`);
    await daemon.ok(["build", "-q", "-t", `app:${version}`, context]);
    const { ImageUsage } = await agree(base);
    sizes.push(ImageUsage.TotalSize);
  }
  const [first = 0, second = 0, third = 0] = sizes;
  expect(second - first).toBeLessThan(100_000);
  expect(third - second).toBeLessThan(100_000);
  // Each image is as large as if it were the only one.
  const [one, three] = [await imageSize("app:1"), await imageSize("app:3")];
  expect(Math.abs(one - three)).toBeLessThan(20_000);
  expect(one).toBeGreaterThan(60 * 20_000);

  const show = ["sh", "-c", "head -n1 /srv/app/lib/0; head -n1 /srv/app/lib/1"];
  await daemon.ok([
    "run",
    "--name",
    "writes",
    "app:1",
    "sh",
    "-c",
    "echo own >/srv/app/lib/1; chmod 600 /srv/app/lib/2",
  ]);
  for (const version of ["1", "2", "3"])
    expect(await daemon.ok(["run", "--rm", `app:${version}`, ...show])).toBe(`version ${version}\n1`);
  const mode = ["stat", "-c", "%a", "/srv/app/lib/2"];
  expect(await daemon.ok(["run", "--rm", "app:2", ...mode])).toBe("644");
  // gzip and others refuse files with several names.
  const links = ["stat", "-c", "%h", "/srv/app/lib/1"];
  expect(await daemon.ok(["run", "--rm", "app:3", ...links])).toBe("1");

  // What is removed gives back what was its own, and the last version all.
  await daemon.ok(["rm", "writes"]);
  await daemon.ok(["rmi", "app:1", "app:2"]);
  await agree(base);
  const pruned = await daemon.ok(["builder", "prune", "-a", "-f"]);
  expect(pruned).toMatch(/^Total:\s+[0-9.]+[MkB]+$/m);
  await agree(base);
  expect(await daemon.ok(["run", "--rm", "app:3", ...show])).toBe("version 3\n1");
  await daemon.ok(["image", "prune", "-a", "-f"]);
  await daemon.ok(["builder", "prune", "-a", "-f"]);
  await isAgain(base);
  expect(readdirSync(join(daemon.dataRoot, "build/copies"))).toEqual([]);
}, 120_000);

test("layers that an image has with other times only are the cache's, and go with it", async () => {
  const base = partSizes();
  await daemon.importBusybox();
  const context = join(here, "times");
  mkdirSync(context);
  writeFileSync(join(context, "file"), "text");
  writeFileSync(join(context, "Dockerfile"), "FROM busybox\nCOPY file /one\nRUN echo two >/two\n");
  const epoch = ["--build-arg", "SOURCE_DATE_EPOCH=1700000000"];
  await daemon.ok(["build", "-q", "-t", "times", ...epoch, context]);
  await daemon.ok(["rmi", "times", "busybox"]);
  await daemon.ok(["builder", "prune", "-a", "-f"]);
  await isAgain(base);
}, 120_000);

async function imageSize(name: string): Promise<number> {
  return Number(await daemon.ok(["image", "inspect", "-f", "{{.Size}}", name]));
}

/** Repeat a failure with the number it printed. */
const seed = Number(process.env["TUG_USAGE_SEED"] ?? Date.now() % 1_000_000);
const steps = Number(process.env["TUG_USAGE_STEPS"] ?? 25);

function served(bytes: Uint8Array): { readonly address: string; stop(): void } {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(bytes.slice()) });
  return { address: `http://127.0.0.1:${server.port}/file`, stop: () => void server.stop(true) };
}

/** A registry whose only layer never comes whole: every pull from it fails half-way. */
function brokenRegistry(): { readonly address: string; stop(): void } {
  const layer = crypto.getRandomValues(new Uint8Array(60_000));
  const digestOf = (bytes: Uint8Array) =>
    `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
  const rootfs = { type: "layers", diff_ids: [`sha256:${"1".repeat(64)}`] };
  const config = Buffer.from(JSON.stringify({ architecture: "amd64", os: "linux", config: {}, rootfs }));
  const oci = "application/vnd.oci.image";
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${oci}.manifest.v1+json`,
      config: { mediaType: `${oci}.config.v1+json`, digest: digestOf(config), size: config.length },
      layers: [{ mediaType: `${oci}.layer.v1.tar+gzip`, digest: digestOf(layer), size: layer.length }],
    }),
  );
  const answer = (socket: Bun.Socket, type: string, length: number, body: Uint8Array) => {
    socket.write(
      `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`,
    );
    socket.write(body);
    socket.end();
  };
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, request) {
        const path = request.toString("latin1").split(" ")[1] ?? "";
        if (path.includes("/manifests/"))
          answer(socket, `${oci}.manifest.v1+json`, manifest.length, manifest);
        else if (path.endsWith(digestOf(config))) answer(socket, "text/plain", config.length, config);
        else if (path.includes("/blobs/"))
          answer(socket, "text/plain", layer.length, layer.subarray(0, 40_000));
        else answer(socket, "text/plain", 2, Buffer.from("{}"));
      },
    },
  });
  return { address: `127.0.0.1:${server.port}`, stop: () => server.stop(true) };
}

test(`system df agrees with du whatever ${steps} operations at random do, failed and cancelled ones too (seed ${seed})`, async () => {
  const random = randomNumbers(seed);
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
  const base = partSizes();
  const registry = brokenRegistry();
  const archive = join(here, "random.tar");
  await daemon.importBusybox();
  await daemon.ok(["save", "-o", archive, "busybox"]);
  const tar = Buffer.from(await Bun.file(archive).arrayBuffer());
  let made = 0;
  const lines = async (...args: string[]) => (await daemon.ok(args)).split("\n").filter(Boolean);
  const containers = () => lines("ps", "-aq");
  const hasBusybox = async () => (await lines("images", "-q", "busybox")).length > 0;
  const operations: Readonly<Record<string, () => Promise<unknown>>> = {
    run: () => {
      const fill = `head -c ${Math.floor(random() * 300_000)} /dev/urandom >/f; cp /f /v/${made++}; rm -f /etc/group`;
      const volume = pick(["one:/v", "two:/v", "/v"]) ?? "";
      // Where the image was removed it is not asked for on the network.
      return daemon.tug(["run", "--pull", "never", "-v", volume, "busybox", "sh", "-c", fill]);
    },
    commit: async () => daemon.tug(["commit", pick(await containers()) ?? "none", `image:${made++ % 5}`]),
    remove: async () =>
      daemon.tug(["rm", ...(random() < 0.5 ? ["-v"] : []), pick(await containers()) ?? "none"]),
    untag: async () => {
      const image = pick(await lines("images", "-aq"));
      return image && daemon.tug(["rmi", ...(random() < 0.5 ? ["-f"] : []), image]);
    },
    load: () => daemon.ok(["load", "-q", "-i", archive]),
    failedLoad: () =>
      daemon.tug(["load", "-q"], { input: tar.subarray(0, Math.floor(random() * tar.length)) }),
    cancelledLoad: async () => {
      const env = { ...process.env, DOCKER_HOST: daemon.host };
      const child = Bun.spawn([tugBinary, "load", "-q"], {
        stdin: "pipe",
        stdout: "ignore",
        stderr: "ignore",
        env,
      });
      child.stdin.write(tar.subarray(0, Math.floor(random() * tar.length)));
      await child.stdin.flush();
      child.kill("SIGKILL");
      await child.exited;
    },
    failedPull: async () => {
      const { code, stderr } = await daemon.tug(["pull", "-q", `${registry.address}/broken:${made++}`]);
      expect({ code, stderr }).toMatchObject({ code: 1 });
    },
    prune: () => daemon.ok(["image", "prune", "-f"]),
    build: async () => {
      if (!(await hasBusybox())) return;
      expect(await build(made++, "-t", `built:${made % 3}`)).toMatchObject({ code: 0, stderr: "" });
    },
    failedBuild: async () => {
      if (!(await hasBusybox())) return;
      const fails = "FROM scratch\nCOPY files /\nFROM busybox\nCOPY --from=0 / /\nRUN echo x >/x && false\n";
      expect(await build(made++)).toBeDefined();
      const context = join(here, "context");
      expect(await daemon.tug(["build", "-q", "-f", "-", context], { input: fails })).toMatchObject({
        code: 1,
      });
    },
    builderPrune: () => daemon.ok(["builder", "prune", "-f", ...(random() < 0.5 ? ["-a"] : [])]),
    crash: async () => {
      await daemon.crash();
      await daemon.up();
    },
  };
  const done: string[] = [];
  try {
    for (let step = 0; step < steps; step++) {
      const name = pick(Object.keys(operations)) ?? "run";
      done.push(name);
      await operations[name]?.();
      await agree(base);
    }
    const containersLeft = await containers();
    if (containersLeft.length > 0) await daemon.ok(["rm", "-f", "-v", ...containersLeft]);
    await daemon.ok(["image", "prune", "-a", "-f"]);
    await daemon.ok(["volume", "prune", "-a", "-f"]);
    await daemon.ok(["builder", "prune", "-a", "-f"]);
    await isAgain(base);
    expect(await daemon.tug(["system", "check"])).toMatchObject({ code: 0 });
  } catch (error) {
    throw new Error(`seed ${seed}, after ${done.join(", ")}: ${error}`, { cause: error });
  } finally {
    registry.stop();
  }
}, 120_000);

/** Removed trees are renamed away first and deleted in the background, perhaps while they are being measured. */
async function isAgain(base: Readonly<Record<string, number>>): Promise<void> {
  await settled("the data root is as it was", () => expect(partSizes()).toEqual({ ...base }));
}

/** A request that was given up ends in its own time, and what nobody needs any more is removed in the background. */
async function agree(base: Readonly<Record<string, number>>): Promise<Usage> {
  return await settled("system df agrees with du", () => compared(base));
}

/** What `look` gives as soon as it finds nothing wrong; else what was wrong last. */
async function settled<T>(what: string, look: () => T | Promise<T>): Promise<T> {
  let last: unknown;
  const found: T[] = [];
  await eventually(what, async () => {
    try {
      found.push(await look());
      return true;
    } catch (error) {
      last = error;
      return false;
    }
  }).catch((error: unknown) => {
    throw new Error(`${error}: ${last}`);
  });
  return found[0] as T;
}
