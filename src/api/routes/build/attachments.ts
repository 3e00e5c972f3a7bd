import { notFound } from "../../../base/lib/errors.ts";
import { type Service, serverStream, unary } from "../../../base/rpc/server.ts";
import { pieceBytes } from "../../../base/rpc/stream.ts";
import type { Provenance } from "../../../base/spec/builder/builder.ts";
import { Content } from "../../../base/spec/buildkit/methods.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";

/** What is attached to a build's record in the history: where each of its results came from. */
export interface Attachment {
  /** "linux/amd64" */
  readonly platform: string;
  /** Of the predicate. */
  readonly type: string;
  readonly digest: string;
  readonly bytes: Uint8Array;
}

export function attachmentOf({ platform, type, predicate }: Provenance): Attachment {
  const bytes = Buffer.from(JSON.stringify(predicate, undefined, 2));
  return { platform, type, digest: digestOf(bytes), bytes };
}

/** As BuildKit names it (solver/llbsolver/history.go). */
export const attachmentType = "application/vnd.in-toto+json";

/** Attachments are read as blobs by their digests, as clients read BuildKit's store (buildx, for the provenance in a metadata file). */
export function attachmentServices(builds: {
  readonly all: readonly { attachments(): readonly Attachment[] }[];
}): readonly Service[] {
  const find = (digest: string) => {
    for (const job of builds.all) {
      const found = job.attachments().find((attachment) => attachment.digest === digest);
      if (found) return found;
    }
    throw notFound(`content ${digest}: not found`);
  };
  return [
    unary(Content.info, async ({ digest }) => ({
      info: { digest, size: BigInt(find(digest).bytes.length) },
    })),
    serverStream(Content.read, async ({ digest, offset, size }, send) => {
      const { bytes } = find(digest);
      const end = size > 0n ? Number(offset + size) : bytes.length;
      for (let at = Number(offset); at < Math.min(end, bytes.length); at += pieceBytes)
        await send({ offset: BigInt(at), data: bytes.subarray(at, Math.min(at + pieceBytes, end)) });
    }),
  ];
}
