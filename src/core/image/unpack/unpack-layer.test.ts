import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf, messageOf } from "../../../base/lib/errors.ts";
import type { DiffId } from "../../../base/lib/ids.ts";
import { paxRecord } from "../../../base/lib/tar/pax.ts";
import { tarHeader, tarPadding, tarTrailer } from "../../../base/lib/tar/writer.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import { tarOf } from "../testdata/fixture.ts";
import { unpackLayer } from "./unpack-layer.ts";

let base = "";
let umask = 0;
beforeEach(() => {
  umask = process.umask(0);
  base = mkdtempSync(join(tmpdir(), "unpack-"));
});
afterEach(() => {
  process.umask(umask);
  rmSync(base, { recursive: true, force: true });
});

async function unpack(blob: Uint8Array, diffId?: DiffId): Promise<unknown> {
  const upper = join(base, "upper");
  rmSync(upper, { recursive: true, force: true });
  mkdirSync(upper);
  writeFileSync(join(base, "blob"), blob);
  const target = { kind: "overlay", upper, lowers: [] } as const;
  return await unpackLayer(
    { blob: join(base, "blob"), target, diffId, verified: false },
    () => undefined,
  ).catch((error: unknown) => `${codeOf(error)}: ${messageOf(error)}`);
}

const good = tarOf([{ path: "a", kind: "file" }, "hello"]);
const diffId = digestOf(good) as string as DiffId;

test("a layer is unpacked, measured and hashed, whatever its compression", async () => {
  const wanted = { diffId, size: 5, entries: 1, root: false };
  expect(await unpack(good, diffId)).toEqual(wanted);
  for (const command of [["gzip"], ["zstd", "-q"], ["bzip2"], ["xz"]]) {
    const packed = Bun.spawnSync([...command, "-c"], { stdin: good });
    expect(await unpack(packed.stdout, diffId)).toEqual(wanted);
  }
  expect(await unpack(new Uint8Array(0))).toMatchObject({ size: 0, entries: 0 });
});

test("a layer padded with zeros after its end is hashed to its last byte", async () => {
  const padded = Buffer.concat([good, Buffer.alloc(1_000_000)]);
  expect(await unpack(padded, digestOf(padded) as string as DiffId)).toMatchObject({ entries: 1 });
});

test("damage of every kind is data-loss in words that tell it", async () => {
  expect(await unpack(good.subarray(0, 514))).toBe("data-loss: unexpected EOF");
  expect(await unpack(Bun.gzipSync(new Uint8Array(good)).subarray(0, 40))).toBe("data-loss: unexpected EOF");
  expect(await unpack(Buffer.alloc(2048, "junk"))).toBe("data-loss: archive/tar: invalid tar header");
  expect(await unpack(good, `sha256:${"0".repeat(64)}` as DiffId)).toContain(
    "data-loss: layer verification failed",
  );
});

test("a member of terabytes that are not there ends as a short archive, and its file is not made large", async () => {
  const claim = Buffer.concat([tarHeader({ path: "big", kind: "file", size: 2 ** 42 }), Buffer.alloc(2048)]);
  expect(await unpack(claim)).toBe("data-loss: unexpected EOF");
  expect(statSync(join(base, "upper", "big")).size).toBeLessThan(4096);
});

test("a sparse file larger than a file can be is refused", async () => {
  const records = Buffer.concat([
    paxRecord("GNU.sparse.major", "0"),
    paxRecord("GNU.sparse.map", "0,0"),
    paxRecord("GNU.sparse.size", String(2 ** 52)),
  ]);
  const pax = tarHeader({ path: "x", kind: "file", size: records.length });
  pax.write("x", 156);
  pax.fill(0x20, 148, 156);
  pax.write(
    `${pax
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
  );
  const tar = [pax, records, tarPadding(records.length), tarHeader({ path: "s", kind: "file" }), tarTrailer];
  expect(await unpack(Buffer.concat(tar))).toStartWith("data-loss: ");
});

test("a member of a type nobody knows is refused", async () => {
  const header = tarHeader({ path: "x", kind: "file" });
  header.write("Z", 156);
  header.fill(0x20, 148, 156);
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
  );
  expect(await unpack(Buffer.concat([header, tarTrailer]))).toBe("data-loss: unhandled tar header type 90");
});
