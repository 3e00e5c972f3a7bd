import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { DiffId } from "../../../base/lib/ids.ts";
import { tarHeader, tarPadding, tarTrailer } from "../../../base/lib/tar/writer.ts";
import { until } from "../../../base/lib/testdata/until.ts";
import { chainIds } from "../../../base/spec/oci/chain.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import { AT_FDCWD, closeFd, O, openat } from "../../../base/sys/at.ts";
import { walkTree } from "../../../base/sys/walk.ts";
import { ImageFixture, tarOf } from "../testdata/fixture.ts";
import { streamOf } from "./archives.ts";

const slow = 60_000;

/** The upper ones rely on the lowest: directories that they do not hold, a removal, a link to a file below. */
const layers = [
  tarOf(
    [{ path: "etc", kind: "directory", mode: 0o750, uid: 3, gid: 4, mtime: 1_000_000_000n }],
    [{ path: "etc/hosts", kind: "file", mtime: 2_000_000_000n }, "hosts"],
    [{ path: "etc/gone", kind: "file" }, "gone"],
    [{ path: "lib", kind: "symlink", linkPath: "usr/lib" }],
    [{ path: "usr", kind: "directory" }],
    [{ path: "usr/lib", kind: "directory" }],
  ),
  tarOf(
    [{ path: "etc/own", kind: "file" }, "own"],
    [{ path: "etc/.wh.gone", kind: "file" }],
    [{ path: "etc/linked", kind: "link", linkPath: "etc/hosts" }],
    [{ path: "lib/x", kind: "file" }, "through a link"],
  ),
  tarOf([{ path: "srv", kind: "directory" }], [{ path: "srv/y", kind: "file" }, "relies on nothing"]),
];
const diffIds = layers.map((layer) => digestOf(layer) as string as DiffId);

const config = JSON.stringify({
  architecture: "amd64",
  os: "linux",
  rootfs: { type: "layers", diff_ids: diffIds },
});
const manifest = JSON.stringify([
  { Config: "config.json", RepoTags: ["early:1"], Layers: layers.map((_, index) => `${index}/layer.tar`) },
]);

const member = (path: string, bytes: Uint8Array | string): Buffer => {
  const content = Buffer.from(bytes);
  return Buffer.concat([
    tarHeader({ path, kind: "file", size: content.length }),
    content,
    tarPadding(content.length),
  ]);
};

const layerMember = (index: number) => member(`${index}/layer.tar`, layers[index] ?? "");
/** What says what the layers' files mean comes last, as in all that docker save writes. */
const end = Buffer.concat([member("config.json", config), member("manifest.json", manifest), tarTrailer]);

async function* each(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  yield* chunks;
}

async function load(
  at: ImageFixture,
  chunks: AsyncGenerator<Uint8Array, void, undefined> | readonly Uint8Array[],
): Promise<void> {
  const stream = streamOf(Array.isArray(chunks) ? each(chunks) : (chunks as ReturnType<typeof each>));
  for await (const _ of at.archives.load(stream));
}

const unfinished = (at: ImageFixture) => [...at.snapshots.list()].filter(({ kind }) => kind === "active");

/** What lies in each layer's own directory, with what it is. */
function trees(at: ImageFixture): unknown[] {
  return chainIds(diffIds).map((name) => {
    const fd = openat(AT_FDCWD, at.snapshots.upperdir(name) ?? "", O.PATH | O.DIRECTORY);
    try {
      return Array.from(walkTree(fd), ({ path, stat }) => {
        const { kind, mode, uid, gid, size, nlink, mtime } = stat;
        return {
          path,
          kind,
          mode,
          uid,
          gid,
          nlink,
          size: kind === "directory" ? 0 : size,
          mtime: kind === "char" ? 0n : mtime,
        };
      }).sort((a, b) => (a.path < b.path ? -1 : 1));
    } finally {
      closeFd(fd);
    }
  });
}

/** The same layers, each unpacked from its whole blob onto the one below. */
async function expected(): Promise<unknown[]> {
  await using at = await ImageFixture.open();
  await at.image(["plain:1"], ...layers);
  return trees(at);
}

for (const order of [
  [0, 1, 2],
  [2, 1, 0],
]) {
  test(
    `layers that are unpacked while they arrive are what they always were, sent in the order ${order}`,
    async () => {
      await using at = await ImageFixture.open();
      await load(at, [...order.map(layerMember), end]);
      expect(at.images.resolve("early:1").layers).toEqual(diffIds);
      expect(trees(at)).toEqual(await expected());
      expect(unfinished(at)).toEqual([]);
    },
    slow,
  );
}

test(
  "a layer is unpacked before anybody says that it is one",
  async () => {
    await using at = await ImageFixture.open();
    const early = () =>
      unfinished(at).some(({ name }) => existsSync(join(at.snapshots.upperdir(name) ?? "", "srv/y")));
    await load(
      at,
      (async function* () {
        yield* [2, 1, 0].map(layerMember);
        await until(early, slow / 2);
        yield end;
      })(),
    );
    expect(trees(at)).toEqual(await expected());
  },
  slow,
);

test(
  "an archive that breaks off while its layers are unpacked leaves nothing",
  async () => {
    await using at = await ImageFixture.open();
    const broken = load(
      at,
      (async function* () {
        yield* [2, 1, 0].map(layerMember);
        await until(() => unfinished(at).length === 3, slow / 2);
        throw new Error("the sender is gone");
      })(),
    );
    await expect(broken).rejects.toThrow("the sender is gone");
    expect(at.leftovers()).toEqual({ blobs: 0, snapshots: 0, images: [] });
    expect(readdirSync(join(at.base, "overlay2/.trash"))).toEqual([]);
  },
  slow,
);

test(
  "files that look like layers and are none, or are there twice, leave nothing behind",
  async () => {
    await using at = await ImageFixture.open();
    const stray = member("stray.tar", tarOf([{ path: "stray", kind: "file" }, "nobody names it"]));
    const twice = member("copy.tar", layers[0] ?? "");
    await load(at, [...[0, 1, 2].map(layerMember), stray, twice, end]);
    expect(at.leftovers()).toMatchObject({ snapshots: 3 });
    expect(unfinished(at)).toEqual([]);
    expect(trees(at)).toEqual(await expected());
  },
  slow,
);

test(
  "loads of one archive side by side share its layers",
  async () => {
    await using at = await ImageFixture.open();
    await Promise.all(Array.from({ length: 3 }, () => load(at, [...[2, 0, 1].map(layerMember), end])));
    expect(at.leftovers()).toMatchObject({ snapshots: 3 });
    expect(unfinished(at)).toEqual([]);
    expect(trees(at)).toEqual(await expected());
  },
  slow,
);

test(
  "a layer that is not what the config says is refused in the words of any other, and leaves nothing",
  async () => {
    await using at = await ImageFixture.open();
    const other = member("1/layer.tar", tarOf([{ path: "srv", kind: "directory" }]));
    const broken = load(at, [layerMember(0), other, layerMember(2), end]);
    await expect(broken).rejects.toThrow(`the image config says ${diffIds[1]}`);
    expect(at.leftovers()).toEqual({ blobs: 0, snapshots: 0, images: [] });
  },
  slow,
);
