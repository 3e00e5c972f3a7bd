import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "bun";
import { codeOf } from "../../base/lib/errors.ts";
import { silentLog } from "../../base/lib/log.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import { mountSpec, unmountIfMounted } from "../../base/sys/mount/mount.ts";
import { recoverImages } from "./recovery.ts";
import { ImageFixture, tarOf } from "./testdata/fixture.ts";

const layer = (name: string, files: number) =>
  tarOf(
    ...Array.from(
      { length: files },
      (_, i) => [{ path: `${name}/${i}`, kind: "file" as const }, name] as const,
    ),
  );

test("a daemon killed at any moment of load, tag and delete leaves stores that the next start repairs", async () => {
  const base = mkdtempSync(join(tmpdir(), "churn-"));
  try {
    const archive = join(base, "archive.gz");
    {
      await using from = await ImageFixture.open();
      await from.image(["one:1", "one:2"], layer("a", 300), layer("b", 50));
      await from.image(["two:1"], layer("a", 300), layer("c", 50));
      const tar = await new Response(from.archives.save(["one", "two"])).arrayBuffer();
      await Bun.write(archive, gzipSync(new Uint8Array(tar)));
    }
    const directory = join(base, "store");
    mkdirSync(directory);
    for (let round = 0; round < 6; round++) {
      const child = Bun.spawn(
        [process.execPath, join(import.meta.dir, "testdata/churn.ts"), directory, archive],
        {
          stdout: "pipe",
          stderr: "inherit",
        },
      );
      await child.stdout.getReader().read();
      // Any moment is a good one; spread over what a round of the child takes.
      await Bun.sleep(Math.random() * 250);
      child.kill("SIGKILL");
      await child.exited;
      const at = await ImageFixture.openIn(directory);
      await recoverImages({ ...at, log: silentLog });
      const chains = new Set<string>();
      const blobs = new Set<string>(at.images.roots());
      for (const image of at.images.list()) for (const name of chainIds(image.layers)) chains.add(name);
      for (const name of chains) expect(at.snapshots.stat(name)?.kind).toBe("committed");
      expect([...at.snapshots.list()].length).toBe(chains.size);
      expect(new Set([...at.content.list()].map((blob) => blob.digest as string))).toEqual(blobs);
      const directories = readdirSync(join(directory, "overlay2")).filter((name) => name !== ".trash");
      expect(directories.length).toBe(chains.size);
      expect(readdirSync(join(directory, "overlay2/.trash"))).toEqual([]);
      at.db.close();
    }
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}, 60_000);

test("a full disk is told as such and leaves nothing behind", async () => {
  const base = mkdtempSync(join(tmpdir(), "full-"));
  mountSpec({ type: "tmpfs", source: "tmpfs", options: ["size=6m"] }, base);
  try {
    const at = await ImageFixture.openIn(base);
    await at.image(["small"], layer("a", 10));
    const big = tarOf([{ path: "big", kind: "file" }, "x".repeat(8 << 20)]);
    const failure = await at.image(["big"], big).catch((error: unknown) => error);
    expect(codeOf(failure)).toBe("resource-exhausted");
    expect(String(failure)).toContain("no space left on device");
    expect(at.leftovers().snapshots).toBe(1);
    await at.image(["other"], layer("b", 10));
    expect(at.images.list().length).toBe(2);
    at.db.close();
  } finally {
    unmountIfMounted(base);
    rmSync(base, { recursive: true, force: true });
  }
});
