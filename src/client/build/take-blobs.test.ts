import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../base/lib/log.ts";
import { openRpc } from "../../base/rpc/client.ts";
import { serveRpc } from "../../base/rpc/server.ts";
import { joined } from "../../base/rpc/testdata/joined.ts";
import { Content, storeKey, writeAction } from "../../base/spec/buildkit/methods.ts";
import { digestOf } from "../../base/spec/oci/digest.ts";
import { takeBlobs } from "./take-blobs.ts";

test("a blob has its name in the layout when all of it came and is what it should be, and is taken once", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tug-take-blobs-"));
  using stack = new DisposableStack();
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const [near, far] = joined();
  const served = serveRpc(far, { services: [takeBlobs(new Map([["local:x", folder]]))], log: silentLog });
  const rpc = openRpc(near);
  const good = Buffer.from("the blob's bytes");
  const expected = digestOf(good);

  /** Sends the pieces and, unless told otherwise, commits; gives what was answered last, or the failure. */
  const write = async (
    pieces: readonly Uint8Array[],
    { store = "local:x", commit = true, skew = 0 } = {},
  ) => {
    const call = rpc.open(Content.write, { metadata: { [storeKey]: [store] } });
    const total = BigInt(good.length);
    const common = { ref: "r", total, expected };
    try {
      let offset = 0;
      for (const data of pieces) {
        call
          .send({ ...common, action: writeAction.write, offset: BigInt(offset + skew), data })
          .catch(() => undefined); // the answer says it
        offset = Number((await call.next())?.offset);
      }
      if (!commit) return offset;
      const nothing = new Uint8Array();
      await call.send({ ...common, action: writeAction.commit, offset: BigInt(offset), data: nothing });
      return Number((await call.next())?.offset);
    } catch (error) {
      return (error as Error).message;
    } finally {
      call.cancel();
    }
  };

  expect(await write([good], { store: "local:other" })).toBe("unknown store local:other");
  expect(await write([good.subarray(0, 4)], { commit: false })).toBe(4);
  expect(await write([good.subarray(0, 4)])).toContain("unexpected commit digest");
  expect(await write([good.subarray(0, 4), good], { skew: 1 })).toContain("must occur at current offset");
  expect(readdirSync(folder).filter((name) => name !== "blobs" && !name.endsWith(".part"))).toEqual([]);
  expect(await write([good.subarray(0, 4), good.subarray(4)])).toBe(good.length);
  expect(readFileSync(join(folder, "blobs", expected.replace(":", "/")))).toEqual(good);
  expect(await write([good])).toContain("already exists");
  await rpc[Symbol.asyncDispose]();
  await served;
  // Nothing that was begun and given up is left.
  expect(readdirSync(folder)).toEqual(["blobs"]);
});
