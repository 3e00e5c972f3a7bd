import { shortId } from "../../base/lib/ids.ts";
import { TarParser } from "../../base/lib/tar/parser.ts";
import { leftOutFile } from "../../base/spec/docker/inventory.ts";
import type { ProgressMessage } from "../../client/images/progress.ts";

/** Between two amounts of one blob, in milliseconds. */
const pace = 100;

/** An image archive passed on as it is, with what goes by told: each blob, and the layers that are left out. */
export async function* relayArchive(
  archive: AsyncIterable<Uint8Array>,
  tell: (message: ProgressMessage) => void,
): AsyncGenerator<Uint8Array, void, void> {
  let blob: { readonly id: string; readonly total: number; sent: number; next: number } | undefined;
  let document: Uint8Array[] | undefined;
  const parser = new TarParser({
    entry: ({ path, size }) => {
      const hex = /^blobs\/sha256\/([a-f0-9]{64})$/.exec(path)?.[1];
      blob = hex === undefined ? undefined : { id: shortId(`sha256:${hex}`), total: size, sent: 0, next: 0 };
      document = path === leftOutFile && size < 1 << 22 ? [] : undefined;
      if (blob) tell({ id: blob.id, status: "Sending", progressDetail: {} });
    },
    data: (chunk) => {
      document?.push(new Uint8Array(chunk));
      if (!blob) return;
      blob.sent += chunk.length;
      const now = performance.now();
      if (now < blob.next) return;
      blob.next = now + pace;
      tell({ id: blob.id, status: "Sending", progressDetail: { current: blob.sent, total: blob.total } });
    },
    end: () => {
      if (blob) tell({ id: blob.id, status: "Sent", progressDetail: {} });
      for (const id of document ? leftOut(Buffer.concat(document)) : [])
        tell({ id, status: "Layer already exists", progressDetail: {} });
      blob = document = undefined;
    },
  });
  for await (const chunk of archive) {
    parser.push(chunk);
    yield chunk;
  }
}

/** The daemon's own words: what is in them is only shown. */
function leftOut(document: Uint8Array): readonly string[] {
  const parsed: unknown = JSON.parse(Buffer.from(document).toString());
  const layers = typeof parsed === "object" && parsed !== null && "layers" in parsed ? parsed.layers : [];
  return (Array.isArray(layers) ? layers : []).map((layer: { digest: string }) => shortId(layer.digest));
}
