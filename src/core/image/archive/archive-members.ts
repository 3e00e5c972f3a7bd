import { TugError } from "../../../base/lib/errors.ts";
import type { Digest } from "../../../base/lib/ids.ts";
import { tarHeader, tarPadding } from "../../../base/lib/tar/writer.ts";
import type { ContentStore } from "../../content/content.ts";

/** Where an OCI layout has a blob. */
export function blobPath(digest: Digest): string {
  return `blobs/${digest.replace(":", "/")}`;
}

export function* directory(path: string): Generator<Uint8Array, void, undefined> {
  yield tarHeader({ path, kind: "directory", mode: 0o755 });
}

export function* jsonFile(path: string, value: unknown): Generator<Uint8Array, void, undefined> {
  const bytes = Buffer.from(JSON.stringify(value));
  yield tarHeader({ path, kind: "file", mode: 0o644, size: bytes.length });
  yield bytes;
  yield tarPadding(bytes.length);
}

/** A blob of content at its place in the layout. Throws data-loss for one that is not there. */
export async function* blobFile(
  content: ContentStore,
  blob: { readonly digest: Digest },
): AsyncGenerator<Uint8Array, void, undefined> {
  const info = content.stat(blob.digest);
  if (!info) throw new TugError("data-loss", `blob ${blob.digest} is lost`);
  yield tarHeader({ path: blobPath(blob.digest), kind: "file", mode: 0o644, size: info.size });
  let length = 0;
  for await (const chunk of content.stream(blob.digest)) {
    length += chunk.length;
    yield chunk;
  }
  if (length !== info.size) throw new TugError("data-loss", `blob ${blob.digest} changed while it was read`);
  yield tarPadding(info.size);
}
