import { linkSync, mkdirSync, writeFileSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { invalid, type TugError } from "../../base/lib/errors.ts";
import { type Digest, randomId } from "../../base/lib/ids.ts";
import type { Index } from "../../base/spec/oci/image.ts";
import { removeDirectory } from "../../base/sys/remove-tree.ts";
import { blobPath } from "../../core/image/archive/archive-members.ts";
import { Activity } from "../activity.ts";
import { imageArchive, layoutBlobs, layoutIndex, layoutMark } from "./archive.ts";
import type { Assembled } from "./assemble.ts";
import type { ExportDeps } from "./deps.ts";
import type { ExportContext, Exporter } from "./exporter.ts";
import { flag } from "./format.ts";
import { type ImageMaker, imageResponse } from "./images.ts";
import { canonicalName, namesOf } from "./names.ts";

export interface ArchiveExportDeps extends ExportDeps {
  /** A directory of the builder's own, on the file system of its content. */
  readonly scratch: string;
}

/** `--output type=oci` and `type=docker`: an archive to the client, or an OCI layout as a directory of it with `tar=false`. */
export function archiveExporter(
  deps: ArchiveExportDeps,
  maker: ImageMaker,
  kind: "oci" | "docker",
  /** Where images of `type=docker` go when the client takes none. */
  store: Exporter,
): Exporter {
  return async (context) => {
    const { session, output, progress } = context;
    if (!session.exports) {
      if (kind === "docker") return await store({ ...context, output: { ...output, type: "image" } });
      throw invalid("the client takes no output of type oci: give it a dest");
    }
    const format = maker.format(context);
    const names = namesOf(output.attributes);
    const step = new Activity(deps.clock, progress, `exporting to ${kind} image format`);
    try {
      using lease = deps.content.lease();
      const images = await maker.finish(context, step, lease, format.rewrite);
      const shown = names.map(canonicalName);
      const made = await maker.assemble(context, step, images, { format, names: shown, lease });
      const response = imageResponse(made, shown);
      if (flag(output.attributes, "tar", true)) {
        const tar = imageArchive(deps.content, made, names, { docker: kind === "docker" });
        await step.part("sending tarball", () => sendFile(context, response, tar));
      } else await step.part("copying files", () => sendLayout(deps, context, made));
      step.done();
      return { response };
    } catch (error) {
      step.done(error);
      throw error;
    }
  };
}

/** A file of the client's; what fails on the way ends the transfer. */
export async function sendFile(
  { session, output, signal }: ExportContext,
  attributes: Readonly<Record<string, string>>,
  bytes: AsyncGenerator<Uint8Array, void, undefined>,
): Promise<void> {
  if (!session.exports) throw takesNone(output.type);
  const stream = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      signal.throwIfAborted();
      const next = await bytes.next();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
    cancel: async () => void (await bytes.return()),
  });
  await session.exports.file(output.id, attributes, stream);
}

export function takesNone(type: string): TugError {
  return invalid(`the client takes no output of type ${type}: give it a dest`);
}

/** The layout as files: blobs are links to what content has, so nothing is copied here. */
async function sendLayout(
  { content, scratch }: ArchiveExportDeps,
  { session, output, signal }: ExportContext,
  made: Assembled,
): Promise<void> {
  const index = layoutIndex(made, namesOf(output.attributes));
  await withLayout({ content, scratch }, { digests: layoutBlobs(made), index }, async (root) => {
    await session.exports?.tree(output.id, root, { signal, fileMode: 0o644 });
  });
}

/** An OCI layout as files, for as long as they are `used`. */
async function withLayout(
  { content, scratch }: Pick<ArchiveExportDeps, "content" | "scratch">,
  layout: { readonly digests: readonly Digest[]; readonly index: Index },
  used: (root: string) => Promise<void>,
): Promise<void> {
  const root = join(scratch, `layout-${randomId().slice(0, 16)}`);
  try {
    for (const digest of new Set(layout.digests)) {
      const path = join(root, blobPath(digest));
      mkdirSync(dirname(path), { recursive: true });
      await linkOrCopy(content.path(digest), path);
    }
    writeFileSync(join(root, "index.json"), JSON.stringify(layout.index), { mode: 0o644 });
    writeFileSync(join(root, "oci-layout"), JSON.stringify(layoutMark), { mode: 0o644 });
    await used(root);
  } finally {
    await removeDirectory(root);
  }
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    linkSync(from, to);
  } catch (error) {
    if (!["EXDEV", "EPERM", "EMLINK"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    await copyFile(from, to);
  }
}
