import { open } from "node:fs/promises";
import { notFound, TugError } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import { errnoOf, storageError } from "../../base/lib/storage-error.ts";
import type { ContentCollector, ContentStore, Ingest } from "../../core/content/content.ts";
import type { BlobReader, BlobStorage } from "./storage.ts";

/** Bytes read at once: large enough that the trip through the thread pool does not count. */
const pieceSize = 512 * 1024;

/** Blobs in a content store on this machine: an OCI image directory, beside the registry's records. */
export function fileStorage(content: ContentStore & ContentCollector): BlobStorage {
  return {
    identity: "files",
    stat: async (digest) => content.stat(digest),
    confirmMissing: async (digest) => content.stat(digest) === undefined,
    read: (digest, limit) => content.read(digest, limit),
    open: (digest) => openFile(content, digest),
    begin: (id) => beginUpload(content, id),
    async put(digest, bytes) {
      await using ingest = await content.ingest(`put-${digest}`, { digest, size: bytes.byteLength });
      if (ingest.offset > 0) await ingest.reset();
      await ingest.write(bytes);
      await ingest.commit();
    },
    delete: (digest) => content.delete(digest),
    async *list() {
      yield* content.list();
    },
    dropPartials: (olderThanMs) => content.dropPartials(olderThanMs),
  };
}

/** An upload is an ingest whose digest is told at its end. */
export function beginUpload(content: ContentStore, id: string): Promise<Ingest> {
  return content.ingest(`upload-${id}`, undefined);
}

async function openFile(content: ContentStore, digest: Digest): Promise<BlobReader> {
  const path = content.path(digest);
  const file = await open(path, "r").catch((error: unknown) => {
    throw errnoOf(error) === "ENOENT"
      ? notFound(`content ${digest}: not found`)
      : storageError(error, "open", path);
  });
  const { size } = await file.stat();
  return {
    size,
    async *pieces(start, end, signal) {
      const buffer = new Uint8Array(Math.min(pieceSize, end - start));
      for (let at = start; at < end; ) {
        signal?.throwIfAborted();
        const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at), at);
        if (bytesRead === 0)
          throw new TugError("data-loss", `content ${digest} ends after ${at} of ${end} bytes`);
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    },
    async [Symbol.asyncDispose]() {
      await file.close();
    },
  };
}
