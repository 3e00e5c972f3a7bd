import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { LoopDisk } from "../../src/core/snapshot/testdata/loop-disk.ts";
import { TestDaemon } from "../harness/daemon.ts";
import { file, hardlink, member, pax } from "../harness/raw-tar.ts";
import { Canary, stored, unchanged } from "./hostile/guard.ts";
import { dockerArchive, imageOf, imageWith } from "./hostile/images.ts";
import { baseLayer, driverLayers, type Layer } from "./hostile/layers.ts";
import { listing, upon } from "./hostile/listing.ts";

/**
 * Hostile layers under every storage driver: each is refused with the same words, or a container sees the same tree, however the driver
 * keeps it. hostile-layers.test.ts tells what overlay2 keeps of all of them; these are those that a driver could take differently.
 */
const scratch = mkdtempSync("/tmp/tug-hostile-");
const canary = new Canary(join(scratch, "canary"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const base = baseLayer(canary.path);
const baseTree = [
  "d etc",
  "f etc/passwd root:x:0:0::/:/bin/sh\\n",
  "d data",
  "f data/keep kept",
  "l absolute /data",
  "l upwards ../../../../data",
  `l out ${canary.path}`,
  "f plain plain",
  `f holes ${2 ** 40} in little`,
];

const noBtrfs = LoopDisk.missing("btrfs");
const drivers = [
  { name: "overlay2", missing: undefined },
  { name: "btrfs", missing: noBtrfs },
  {
    name: "fuse-overlayfs",
    missing: Bun.which("fuse-overlayfs") ? undefined : "fuse-overlayfs is not installed (Debian package)",
  },
  { name: "vfs", missing: undefined },
] as const;

/** One of each kind that is taken, for a container to see; starting one for all of them would take minutes. */
const seen = new Set([
  "a directory that becomes a link, its children later",
  "one name as every type in turn",
  "a parent that is a file",
  "whiteout through a link out",
  "opaque of a file",
  "whiteout of what is not there",
  "whiteout, then the name again",
  "whiteout of what the layer itself brings",
  "names of aufs",
  "an overlay whiteout as a device",
  "device nodes",
  "set-id bits",
  "overlay's own attributes",
  "a capability",
  "kaniko: absolute names and hard links below",
  "a file put into a directory behind a link",
]);

async function load(daemon: TestDaemon, archive: Uint8Array): Promise<string | undefined> {
  const reply = await fetch("http://tug/images/load?quiet=1", {
    unix: daemon.socket,
    method: "POST",
    body: new Uint8Array(archive),
    signal: AbortSignal.timeout(120_000),
  });
  return /"(?:message|error)":"((?:[^"\\]|\\.)*)"/.exec(await reply.text())?.[1];
}

/** What of a container's root is not the image's. */
const given = new Set([
  ...["busybox", "dev", "proc", "sys", ".dockerenv"],
  ...["etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab"],
]);

/** Runs a program that is not the image's in a container of the image and looks at its root. */
async function inContainer<T>(daemon: TestDaemon, look: (root: string) => T): Promise<T> {
  const made = await daemon.api("POST", "/containers/create", {
    Image: "hostile:1",
    Entrypoint: ["/busybox", "sleep", "1000"],
    HostConfig: { NetworkMode: "none", Binds: ["/bin/busybox:/busybox:ro"] },
  });
  expect([made.status, made.body]).toEqual([201, expect.anything()]);
  const { Id } = made.body as { Id: string };
  try {
    const started = await daemon.api("POST", `/containers/${Id}/start`);
    expect([started.status, started.body]).toEqual([204, started.body]);
    const { body } = await daemon.api("GET", `/containers/${Id}/json`);
    return look(`/proc/${(body as { State: { Pid: number } }).State.Pid}/root`);
  } finally {
    await daemon.api("DELETE", `/containers/${Id}?force=1&v=1`);
  }
}

async function attack(daemon: TestDaemon, driver: string, layer: Layer): Promise<unknown> {
  const message = await load(daemon, dockerArchive(imageWith(base, layer), "hostile:1"));
  canary.check();
  if (message !== undefined)
    return (layer.refused ?? layer.either)?.test(message) ? undefined : { refused: message };
  try {
    if (layer.refused) return "taken";
    if (!layer.tree || !seen.has(layer.name)) return undefined;
    const expected = upon(baseTree, layer.tree).filter((line) => !given.has(line.split(" ")[1] ?? ""));
    const found = await inContainer(daemon, (root) => listing(root, given));
    canary.check();
    return Bun.deepEquals(found, expected) ? undefined : { found, expected };
  } finally {
    const { status } = await daemon.api("DELETE", "/images/hostile:1?force=1");
    expect([driver, layer.name, status]).toEqual([driver, layer.name, 200]);
  }
}

for (const { name, missing } of drivers) {
  if (missing) {
    console.log(`skipped: hostile layers on ${name}: ${missing}`);
    continue;
  }
  test(`${name} takes or refuses hostile layers as all drivers do, and keeps nothing of them`, async () => {
    const disk = name === "btrfs" ? LoopDisk.make("btrfs") : undefined;
    const daemon = await TestDaemon.start({
      busybox: false,
      ...(disk ? { root: join(disk.path, "t") } : {}),
      flags: ["--storage-driver", name, "--bridge", "none"],
    });
    try {
      expect(
        await load(daemon, dockerArchive(imageOf([{ tar: base, blob: base }]), "base:1")),
      ).toBeUndefined();
      const before = stored(daemon, name);
      const wrong: unknown[] = [];
      // hostile-layers.test.ts tells what overlay2 keeps of the others; into vfs's trees they are unpacked as into those of btrfs.
      const tried = name === "overlay2" || (name === "vfs" && noBtrfs === undefined);
      const met = new Set<string>();
      for (const layer of driverLayers(canary.path)) {
        if (tried && !seen.has(layer.name)) continue;
        met.add(layer.name);
        const differs = await attack(daemon, name, layer);
        if (differs !== undefined) wrong.push({ layer: layer.name, differs });
      }
      expect(wrong).toEqual([]);
      expect([...seen].filter((each) => !met.has(each))).toEqual([]);
      await unchanged(daemon, before, "hostile layers", name);
      await kept(daemon);
      await unchanged(daemon, before, "links and nodes", name);
      expect(await daemon.ping()).toBe(true);
    } finally {
      await daemon.close();
      disk?.close();
    }
  }, 240_000);
}

/** What a list of names does not tell: files that are one, whose they are, when they were written, and what they may. */
async function kept(daemon: TestDaemon): Promise<void> {
  const layer: Layer = {
    name: "links and nodes",
    tar: [
      file("one", "1"),
      hardlink("two", "one"),
      hardlink("three", "data/keep"),
      member({ name: "su", data: "x", mode: 0o4755, uid: 7, gid: 8, mtime: 1_000_000_000 }),
      member({ name: "zero", type: "3", mode: 0o666, major: 1, minor: 5 }),
      pax({ path: `${"deep/".repeat(150)}x` }),
      file("x"),
    ],
  };
  expect(await load(daemon, dockerArchive(imageWith(base, layer), "hostile:1"))).toBeUndefined();
  await inContainer(daemon, (root) => {
    const of = (path: string) => statSync(join(root, path));
    expect([of("one").ino, of("one").nlink]).toEqual([of("two").ino, 2]);
    // The kernel's overlay and fuse-overlayfs copy the lower file up; a whole tree has it already.
    expect(readFileSync(join(root, "three"), "utf8")).toBe("kept");
    const { mode, uid, gid, mtimeMs } = of("su");
    expect([mode & 0o7777, uid, gid, mtimeMs]).toEqual([0o4755, 7, 8, 1_000_000_000_000]);
    expect([of("zero").rdev, of("zero").isCharacterDevice()]).toEqual([(1 << 8) | 5, true]);
    expect(readFileSync(join(root, `${"deep/".repeat(150)}x`), "utf8")).toBe("x");
  });
  expect((await daemon.api("DELETE", "/images/hostile:1?force=1")).status).toBe(200);
}
