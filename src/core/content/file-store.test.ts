import { expect, test } from "bun:test";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isCode } from "../../base/lib/errors.ts";
import { digestOf } from "../../base/spec/oci/digest.ts";
import { contentStoreSuite } from "./suite.ts";
import { temporaryContent } from "./testdata/temporary.ts";

contentStoreSuite("content in files", temporaryContent);

test("no directory is open to others", async () => {
  await using at = temporaryContent();
  for (const name of ["", "blobs", "blobs/sha256", "ingest", "trash"]) {
    expect(statSync(join(at.root, name)).mode & 0o777).toBe(0o700);
  }
  const { digest } = await at.store.put(new Uint8Array([1]), "x");
  expect(statSync(at.store.path(digest)).mode & 0o077).toBe(0);
});

test("a damaged document is data-loss when it is read", async () => {
  await using at = temporaryContent();
  const { digest } = await at.store.put(new TextEncoder().encode("good"), "x");
  writeFileSync(at.store.path(digest), "evil");
  const error = await at.store.read(digest, 100).catch((reason: unknown) => reason);
  expect(isCode(error, "data-loss")).toBe(true);
});

test("nothing is left in ingest or trash after commits, aborts and collections", async () => {
  await using at = temporaryContent();
  await at.store.put(new Uint8Array(10), "x");
  const ingest = await at.store.ingest("x");
  await ingest.write(new Uint8Array(10));
  await ingest.abort();
  await at.store.collect(() => []);
  expect(readdirSync(join(at.root, "ingest"))).toEqual([]);
  expect(readdirSync(join(at.root, "trash"))).toEqual([]);
});

test("what a collection had renamed when it was killed goes away at the next start", async () => {
  await using at = temporaryContent();
  writeFileSync(join(at.root, "trash", "0".repeat(64)), "left");
  at.reopen();
  expect(readdirSync(join(at.root, "trash"))).toEqual([]);
});

test("a partial survives kill -9 of its writer", async () => {
  await using at = temporaryContent();
  const whole = new Uint8Array(2_000_000).fill(7);
  const script = `
    const { FileContentStore } = await import(${JSON.stringify(join(import.meta.dir, "file-store.ts"))});
    const store = new FileContentStore({ root: ${JSON.stringify(at.root)} });
    const ingest = await store.ingest("x", { digest: ${JSON.stringify(digestOf(whole))}, size: ${whole.byteLength} });
    await ingest.write(new Uint8Array(1_000_000).fill(7));
    process.kill(process.pid, "SIGKILL");
  `;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "inherit", stderr: "inherit" });
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
  await using ingest = await at.reopen().ingest("x", { digest: digestOf(whole), size: whole.byteLength });
  expect(ingest.offset).toBe(1_000_000);
  await ingest.write(whole.subarray(ingest.offset));
  expect((await ingest.commit()).digest).toBe(digestOf(whole));
});

test("a full disk is resource-exhausted with the reason, and the partial gives its room back", async () => {
  await using at = temporaryContent();
  const target = join(at.root, "ingest");
  const mount = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", target]);
  if (mount.exitCode !== 0) return console.log("skipped: mounting a tmpfs needs root");
  try {
    {
      await using ingest = await at.store.ingest("x");
      const write = async () => {
        for (let count = 0; count < 8; count++) await ingest.write(new Uint8Array(300_000));
      };
      const error = await write().catch((reason: unknown) => reason);
      expect(isCode(error, "resource-exhausted")).toBe(true);
      expect(String(error)).toContain("no space left on device");
    }
    expect(readdirSync(target)).toEqual([]);
  } finally {
    Bun.spawnSync(["umount", target]);
  }
});
