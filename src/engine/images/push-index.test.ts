import { expect, test } from "bun:test";
import { parseReference } from "../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import { temporaryContent } from "../../core/content/testdata/temporary.ts";
import type { Pusher } from "../../core/distribution/distribution.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { pushDocument } from "./push-index.ts";

test("so many blobs are sent at once as the configuration says, and no more", async () => {
  await using content = temporaryContent();
  const { store } = content;
  const blob = (text: string, type: string) => store.put(new TextEncoder().encode(text), type);
  const layers = await Promise.all([1, 2, 3, 4, 5].map((n) => blob(`layer ${n}`, mediaTypes.ociLayer)));
  const config = await blob("{}", mediaTypes.ociConfig);
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers };
  const target = await blob(JSON.stringify(manifest), mediaTypes.ociManifest);
  let [now, most] = [0, 0];
  const turns: (() => void)[] = [];
  const pusher: Pick<Pusher, "push" | "pushManifest"> = {
    push: async () => {
      most = Math.max(most, ++now);
      await new Promise<void>((resolve) => turns.push(resolve));
      now--;
      return "uploaded";
    },
    pushManifest: async (): Promise<Descriptor> => target,
  };
  const push = (parallelUploads: (() => number) | undefined) =>
    pushDocument({ content: store, pusher, parallelUploads } as unknown as ImageServiceDeps, target, {
      ref: parseReference("registry.test/app:1"),
      sources: [],
      remote: {},
      show: () => undefined,
    });
  for (const [limit, expected] of [
    [() => 2, 2],
    [() => Number.POSITIVE_INFINITY, 5],
    [undefined, 5],
  ] as const) {
    [now, most] = [0, 0];
    const done = push(limit);
    let over = false;
    const finished = done.finally(() => {
      over = true;
    });
    while (!over) {
      // Whatever can begin has begun by the end of a turn of the event loop.
      await new Promise((resolve) => setImmediate(resolve));
      turns.shift()?.();
    }
    await finished;
    expect(most).toBe(expected);
  }
});
