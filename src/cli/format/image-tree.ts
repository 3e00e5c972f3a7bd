import { shortId } from "../../base/lib/ids.ts";
import type { ImageSummary } from "../../base/spec/docker/api.gen.ts";
import { alignColumns } from "./tabwriter.ts";
import { humanSize } from "./units.ts";

/** `images --tree`: an image a line, its platforms below it where the daemon tells them. */
export function imageTree(images: readonly ImageSummary[], whole: boolean): string {
  const id = (text: string) => (whole ? text : shortId(text));
  const rows = ["IMAGE\tID\tDISK USAGE\tCONTENT SIZE"];
  for (const image of images) {
    const names = (image.RepoTags ?? []).filter((name) => name !== "<none>:<none>");
    rows.push(
      `${names[0] ?? "<untagged>"}\t${id(image.Id ?? "")}\t${humanSize(image.Size ?? 0, 3)}\t${humanSize(contentSize(image), 3)}`,
    );
    for (const name of names.slice(1)) rows.push(`${name}\t${id(image.Id ?? "")}\t\t`);
    const parts = (image.Manifests ?? []).filter((manifest) => manifest.Kind === "image");
    parts.forEach((manifest, at) => {
      const platform = manifest.ImageData?.Platform;
      const name = [platform?.os, platform?.architecture, platform?.variant].filter(Boolean).join("/");
      const branch = at === parts.length - 1 ? "└─" : "├─";
      rows.push(
        `${branch} ${name}\t${id(manifest.ID ?? "")}\t${humanSize(manifest.Size?.Total ?? 0, 3)}\t${humanSize(manifest.Size?.Content ?? 0, 3)}`,
      );
    });
  }
  return `${alignColumns(rows.join("\n"))}\n`;
}

function contentSize(image: ImageSummary): number {
  return (image.Manifests ?? []).reduce((sum, manifest) => sum + (manifest.Size?.Content ?? 0), 0);
}
