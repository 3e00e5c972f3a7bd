import { describe, expect, test } from "bun:test";
import { codeOf } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import { Digester, digestOf } from "../../base/spec/oci/digest.ts";
import type { BlobStorage } from "./storage.ts";

/** Every blob storage passes this. `make` gives an empty one; `reopen` the same after its process died. */
export function blobStorageSuite(
  name: string,
  make: () => AsyncDisposable & { readonly storage: BlobStorage; reopen(): BlobStorage },
): void {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const all = async (storage: BlobStorage, digest: Digest, start = 0, end?: number) => {
    await using reader = await storage.open(digest);
    const parts: Buffer[] = [];
    for await (const piece of reader.pieces(start, end ?? reader.size)) parts.push(Buffer.from(piece));
    return Buffer.concat(parts).toString();
  };
  const failure = (work: Promise<unknown>) => work.then(() => "none", codeOf);

  describe(name, () => {
    test("what was uploaded in pieces is read whole and in ranges", async () => {
      await using at = make();
      const upload = await at.storage.begin("a");
      await upload.write(bytes("hello "));
      await upload.write(bytes("world"));
      const into = new Uint8Array(8);
      expect(await upload.read(into, 6)).toBe(5);
      expect(Buffer.from(into.subarray(0, 5)).toString()).toBe("world");
      const digest = digestOf("hello world");
      expect(await at.storage.stat(digest)).toBeUndefined();
      expect(await upload.commit(digest)).toEqual({ digest, size: 11 });
      await upload[Symbol.asyncDispose]();
      expect(await at.storage.stat(digest)).toEqual({ digest, size: 11 });
      expect(await all(at.storage, digest)).toBe("hello world");
      expect(await all(at.storage, digest, 6, 9)).toBe("wor");
      expect(await all(at.storage, digest, 4, 4)).toBe("");
      expect(Buffer.from(await at.storage.read(digest, 100)).toString()).toBe("hello world");
      expect(await failure(at.storage.read(digest, 10))).toBe("data-loss");
    });

    test("an upload goes on where a dead process left it", async () => {
      await using at = make();
      const first = await at.storage.begin("a");
      await first.write(bytes("one "));
      await first[Symbol.asyncDispose]();
      const storage = at.reopen();
      const second = await storage.begin("a");
      expect(second.offset).toBe(4);
      await second.write(bytes("two"));
      await second.commit(digestOf("one two"));
      expect(await all(storage, digestOf("one two"))).toBe("one two");
    });

    test("another digest than the one told is data-loss, and nothing of it stays", async () => {
      await using at = make();
      const upload = await at.storage.begin("a");
      await upload.write(bytes("received"));
      expect(await failure(upload.commit(digestOf("expected")))).toBe("data-loss");
      await using again = await at.storage.begin("a");
      expect(again.offset).toBe(0);
      expect(await Array.fromAsync(at.storage.list())).toEqual([]);
    });

    test("a digest of another algorithm is checked by that one", async () => {
      await using at = make();
      const digester = new Digester("sha512");
      digester.update(bytes("five twelve"));
      const digest = digester.digest();
      const upload = await at.storage.begin("a");
      await upload.write(bytes("five twelve"));
      await upload.commit(digest);
      expect(await all(at.storage, digest)).toBe("five twelve");
    });

    test("documents are put at once, again without harm, and only under their digest", async () => {
      await using at = make();
      await at.storage.put(digestOf("doc"), bytes("doc"));
      await at.storage.put(digestOf("doc"), bytes("doc"));
      expect(await all(at.storage, digestOf("doc"))).toBe("doc");
      expect(await failure(at.storage.put(digestOf("x"), bytes("y")))).toBe("data-loss");
      expect(await Array.fromAsync(at.storage.list())).toEqual([{ digest: digestOf("doc"), size: 3 }]);
    });

    test("what is deleted is not there, and what was never there can be deleted", async () => {
      await using at = make();
      await at.storage.put(digestOf("doc"), bytes("doc"));
      await at.storage.delete(digestOf("doc"));
      await at.storage.delete(digestOf("doc"));
      expect(await at.storage.stat(digestOf("doc"))).toBeUndefined();
      expect(await failure(at.storage.open(digestOf("doc")))).toBe("not-found");
      expect(await at.storage.confirmMissing(digestOf("doc"))).toBe(true);
      await at.storage.put(digestOf("doc"), bytes("doc"));
      expect(await at.storage.confirmMissing(digestOf("doc"))).toBe(false);
    });

    test("a blob of many parts arrives as it was", async () => {
      await using at = make();
      const part = crypto.getRandomValues(new Uint8Array(60_000));
      const digester = new Digester("sha256");
      const upload = await at.storage.begin("big");
      for (let i = 0; i < 300; i++) {
        part[0] = i & 255;
        digester.update(part);
        await upload.write(part);
      }
      const digest = digester.digest();
      await upload.commit(digest);
      const check = new Digester("sha256");
      await using reader = await at.storage.open(digest);
      for await (const piece of reader.pieces(0, reader.size)) check.update(piece);
      expect(reader.size).toBe(18_000_000);
      expect(check.digest()).toBe(digest);
    });
  });
}
