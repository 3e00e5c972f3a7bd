import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { isCode, messageOf } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import { Digester, digestOf } from "../../base/spec/oci/digest.ts";
import type { ContentCollector, ContentStore } from "./content.ts";

/** Every content store passes this. `make` returns an empty store of its own; `reopen`, the same store after a crash. */
export function contentStoreSuite(
  name: string,
  make: () => AsyncDisposable & {
    store: ContentStore & ContentCollector;
    reopen(): ContentStore & ContentCollector;
  },
): void {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const blob = (text: string) => ({ digest: digestOf(text), size: text.length, mediaType: "text/plain" });
  const text = async (stream: ReadableStream<Uint8Array>) => await new Response(stream).text();
  const failure = async (work: Promise<unknown>) => {
    const error: unknown = await work.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    return error;
  };

  describe(name, () => {
    test("a committed blob can be read by stat, path, read and stream", async () => {
      await using at = make();
      await using ingest = await at.store.ingest("x", blob("hello world"));
      await ingest.write(bytes("hello "));
      expect(at.store.stat(digestOf("hello world"))).toBeUndefined();
      await ingest.write(bytes("world"));
      expect(await ingest.commit()).toEqual({ digest: digestOf("hello world"), size: 11 });
      const { digest } = blob("hello world");
      expect(at.store.stat(digest)).toEqual({ digest, size: 11 });
      expect(readFileSync(at.store.path(digest), "utf8")).toBe("hello world");
      expect(Buffer.from(await at.store.read(digest, 11)).toString()).toBe("hello world");
      expect(await text(at.store.stream(digest))).toBe("hello world");
      expect(await text(at.store.stream(digest, 6))).toBe("world");
      expect([...at.store.list()]).toEqual([{ digest, size: 11 }]);
    });

    test("bytes can be followed in their file while they come, to the last one", async () => {
      await using at = make();
      await using ingest = await at.store.ingest("x");
      const told: number[] = [];
      const path = ingest.follow?.((size) => told.push(size));
      if (path === undefined) return;
      const fd = openSync(path, "r");
      try {
        await ingest.write(Buffer.alloc(1_000_000, 7));
        await ingest.write(bytes("end"));
        await ingest.commit();
        expect(told[0]).toBe(0);
        expect(told).toEqual(told.toSorted((a, b) => a - b));
        expect(told.at(-1)).toBe(1_000_003);
        expect(readSync(fd, Buffer.alloc(10), 0, 10, 1_000_000)).toBe(3);
      } finally {
        closeSync(fd);
      }
    });

    test("a blob that is not there is not-found", async () => {
      await using at = make();
      const { digest } = blob("nothing");
      expect(at.store.stat(digest)).toBeUndefined();
      expect(() => at.store.path(digest)).toThrow("not found");
      expect(isCode(await failure(at.store.read(digest, 10)), "not-found")).toBe(true);
      await at.store.delete(digest);
    });

    test("a digest told at the end is checked, by its own algorithm", async () => {
      await using at = make();
      const digester = new Digester("sha512");
      digester.update(bytes("late digest"));
      const digest = digester.digest();
      await using ingest = await at.store.ingest("x");
      await ingest.write(bytes("late digest"));
      expect(await ingest.commit(digest)).toEqual({ digest, size: 11 });
      expect(await text(at.store.stream(digest))).toBe("late digest");
      await using other = await at.store.ingest("y");
      await other.write(bytes("something else"));
      expect(isCode(await failure(other.commit(digest)), "data-loss")).toBe(true);
    });

    test("what was written is read while more comes, from memory or from disk", async () => {
      await using at = make();
      await using ingest = await at.store.ingest("x");
      const piece = new Uint8Array(300_000).fill(7);
      for (const chunk of [bytes("start"), piece, bytes("end")]) await ingest.write(chunk);
      const into = new Uint8Array(10);
      expect(await ingest.read(into, 0)).toBe(10);
      expect(Buffer.from(into).toString("latin1")).toBe("start\x07\x07\x07\x07\x07");
      expect(await ingest.read(into, 300_005)).toBe(3);
      expect(Buffer.from(into.subarray(0, 3)).toString()).toBe("end");
      expect(await ingest.read(into, 300_008)).toBe(0);
    });

    test("a digest that was cast instead of parsed never becomes a path", async () => {
      await using at = make();
      for (const bad of [
        "sha256:../../../etc/passwd",
        "sha256:ABC",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "x",
      ]) {
        expect(() => at.store.path(bad as Digest)).toThrow("invalid digest");
      }
    });

    test("a wrong digest is data-loss, and its bytes are gone", async () => {
      await using at = make();
      {
        await using ingest = await at.store.ingest("x", blob("expected"));
        await ingest.write(bytes("received"));
        const error = await failure(ingest.commit());
        expect(isCode(error, "data-loss")).toBe(true);
        expect(messageOf(error)).toBe(
          `filesystem layer verification failed for digest ${digestOf("expected")}`,
        );
      }
      await using again = await at.store.ingest("x", blob("expected"));
      expect(again.offset).toBe(0);
      expect([...at.store.list()]).toEqual([]);
    });

    test("too few bytes and too many bytes are data-loss", async () => {
      await using at = make();
      await using short = await at.store.ingest("short", blob("expected"));
      await short.write(bytes("exp"));
      expect(isCode(await failure(short.commit()), "data-loss")).toBe(true);
      await using long = await at.store.ingest("long", blob("expected"));
      expect(isCode(await failure(long.write(bytes("expected and more"))), "data-loss")).toBe(true);
    });

    test("an ingest resumes where it was left, after disposal and in another process", async () => {
      await using at = make();
      {
        await using first = await at.store.ingest("x", blob("hello world"));
        await first.write(bytes("hello"));
      }
      {
        await using second = await at.store.ingest("x", blob("hello world"));
        expect(second.offset).toBe(5);
        await second.write(bytes(" "));
      }
      await using third = await at.reopen().ingest("x", blob("hello world"));
      expect(third.offset).toBe(6);
      await third.write(bytes("world"));
      expect((await third.commit()).digest).toBe(digestOf("hello world"));
    });

    test("a partial is not continued for another digest", async () => {
      await using at = make();
      {
        await using first = await at.store.ingest("x", blob("hello world"));
        await first.write(bytes("hello"));
      }
      await using other = await at.store.ingest("x", blob("hello tug"));
      expect(other.offset).toBe(0);
    });

    test("reset starts again at nothing, abort forgets", async () => {
      await using at = make();
      const first = await at.store.ingest("x", blob("hello"));
      await first.write(bytes("jello"));
      await first.reset();
      expect(first.offset).toBe(0);
      await first.write(bytes("hell"));
      await first.abort();
      await using second = await at.store.ingest("x", blob("hello"));
      expect(second.offset).toBe(0);
      await second.write(bytes("hello"));
      await second.commit();
    });

    test("ingests of one ref wait for each other, those of two refs do not", async () => {
      await using at = make();
      const first = await at.store.ingest("x", blob("hello"));
      let opened = false;
      const waiting = at.store.ingest("x", blob("hello")).then((ingest) => {
        opened = true;
        return ingest;
      });
      await using other = await at.store.ingest("y", blob("hello"));
      await other.write(bytes("hello"));
      await other.commit();
      expect(opened).toBe(false);
      await first.write(bytes("hello"));
      expect(await first.commit()).toEqual({ digest: digestOf("hello"), size: 5 });
      await using second = await waiting;
      expect(second.offset).toBe(0);
    });

    test("who gives up waiting for a ref does not block it", async () => {
      await using at = make();
      const first = await at.store.ingest("x", blob("hello"));
      const controller = new AbortController();
      const waiting = at.store.ingest("x", blob("hello"), controller.signal);
      controller.abort(new Error("gone"));
      await expect(waiting).rejects.toThrow("gone");
      await first.abort();
      await using second = await at.store.ingest("x", blob("hello"));
      expect(second.offset).toBe(0);
    });

    test("put stores a document once and describes it", async () => {
      await using at = make();
      const descriptor = await at.store.put(bytes("{}"), "application/json");
      expect(descriptor).toEqual({ mediaType: "application/json", digest: digestOf("{}"), size: 2 });
      expect(await at.store.put(bytes("{}"), "application/json")).toEqual(descriptor);
      expect(await Promise.all([1, 2, 3].map(() => at.store.put(bytes("same"), "x")))).toHaveLength(3);
    });

    test("read refuses a blob over the limit", async () => {
      await using at = make();
      const { digest } = await at.store.put(bytes("0123456789"), "text/plain");
      expect(isCode(await failure(at.store.read(digest, 9)), "data-loss")).toBe(true);
    });

    test("a large blob in odd chunks keeps every byte", async () => {
      await using at = make();
      const whole = new Uint8Array(1_500_000).map((_, index) => index * 31);
      const expected = { digest: digestOf(whole), size: whole.byteLength };
      await using ingest = await at.store.ingest("big", expected);
      for (let start = 0, step = 1; start < whole.length; start += step, step = (step * 7) % 400_009) {
        await ingest.write(whole.subarray(start, start + step));
      }
      expect((await ingest.commit()).size).toBe(whole.byteLength);
      expect(new Uint8Array(await at.store.read(expected.digest, whole.byteLength))).toEqual(whole);
    });

    test("collect keeps roots, leases and open ingests, and deletes the rest", async () => {
      await using at = make();
      const [root, leased, loose] = await Promise.all(
        ["root", "leased", "loose"].map(async (each) => (await at.store.put(bytes(each), "x")).digest),
      );
      if (!root || !leased || !loose) throw new Error("put");
      const lease = at.store.lease([leased]);
      expect((await at.store.collect(() => [root])).map((each) => each.digest)).toEqual([loose]);
      lease[Symbol.dispose]();
      lease[Symbol.dispose]();
      expect((await at.store.collect(() => [root])).map((each) => each.digest)).toEqual([leased]);
      expect([...at.store.list()].map((each) => each.digest)).toEqual([root]);
    });

    test("a blob under two leases lives as long as one of them", async () => {
      await using at = make();
      const { digest } = await at.store.put(bytes("both"), "x");
      const one = at.store.lease();
      const two = at.store.lease();
      one.add(digest);
      one.add(digest);
      two.add(digest);
      one[Symbol.dispose]();
      expect(await at.store.collect(() => [])).toEqual([]);
      two[Symbol.dispose]();
      expect(await at.store.collect(() => [])).toHaveLength(1);
    });

    test("dropPartials leaves what is being written and what is young", async () => {
      await using at = make();
      {
        await using left = await at.store.ingest("left", blob("hello"));
        await left.write(bytes("hel"));
      }
      await using busy = await at.store.ingest("busy", blob("hello"));
      await busy.write(bytes("hell"));
      expect(await at.store.dropPartials(60_000)).toBe(0);
      expect(await at.store.dropPartials(-1)).toBe(3);
      await busy.write(bytes("o"));
      await busy.commit();
    });
  });
}
