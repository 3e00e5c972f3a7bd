import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "bun";
import type { ChainId, DiffId } from "../../../base/lib/ids.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import { layerDescriptor } from "../create.ts";
import { ImageFixture, tarOf } from "../testdata/fixture.ts";

test("a layer stands on what completes the one below it, too: a directory that it says nothing of looks as there", async () => {
  await using at = await ImageFixture.open();
  const source = async (tar: Buffer) => ({
    descriptor: layerDescriptor(await at.content.put(gzipSync(new Uint8Array(tar)), ""), "gzip"),
    diffId: digestOf(tar) as string as DiffId,
  });
  const below = await source(tarOf([{ path: "below", kind: "file" }]));
  const above = await source(tarOf([{ path: "kept/private/file", kind: "file" }]));
  const { snapshots } = at;
  await snapshots.prepare("earlier", undefined);
  const earlier = snapshots.upperdir("earlier") ?? "";
  mkdirSync(join(earlier, "kept/private"), { recursive: true });
  chmodSync(join(earlier, "kept/private"), 0o700);
  await snapshots.commit(digestOf("earlier") as string as ChainId, "earlier");
  // As a build leaves it: the files are another snapshot's.
  await snapshots.prepare("below", undefined);
  await snapshots.commit(below.diffId as string as ChainId, "below", { base: earlier });

  await using stack = at.unpacker.stack();
  if (!stack) throw new Error("overlay has stacks");
  expect(await stack.put(below, undefined, {})).toBe("there");
  expect(await stack.put(above, undefined, {})).toBe("new");
  await stack.commit();
  const made = [...snapshots.list()].find(({ parent }) => parent === (below.diffId as string));
  const directory = join(snapshots.upperdir(made?.name ?? "") ?? "", "kept/private");
  expect(statSync(directory).mode & 0o777).toBe(0o700);
});
