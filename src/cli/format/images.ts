import { humanDuration } from "../../base/lib/human-duration.ts";
import { shortId } from "../../base/lib/ids.ts";
import type { ImageSummary } from "../../base/spec/docker/api.gen.ts";
import type { ListSpec } from "./list.ts";
import { goTime } from "./text.ts";
import { humanSize } from "./units.ts";

/** One row of `images`: an image under one of its names. */
export interface ImageRow {
  readonly image: ImageSummary;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

const none = "<none>";

/** An image for each of its tags; with digests, for each pair of tag and digest; unnamed ones once. */
export function imageRows(images: readonly ImageSummary[], digests: boolean): ImageRow[] {
  return images.flatMap((image) => {
    const tags = (image.RepoTags ?? []).filter((name) => name !== "<none>:<none>").map(splitTag);
    const known = (image.RepoDigests ?? []).filter((name) => name !== "<none>@<none>").map(splitDigest);
    const rows: ImageRow[] = [];
    for (const { repository, tag } of tags) {
      const matching = digests ? known.filter((item) => item.repository === repository) : [];
      if (matching.length === 0) rows.push({ image, repository, tag, digest: none });
      for (const { digest } of matching) rows.push({ image, repository, tag, digest });
    }
    const untagged = known.filter((item) => !tags.some(({ repository }) => repository === item.repository));
    const seen = new Set<string>();
    for (const { repository, digest } of untagged) {
      if (!digests && seen.has(repository)) continue;
      seen.add(repository);
      rows.push({ image, repository, tag: none, digest: digests ? digest : none });
    }
    return rows.length > 0 ? rows : [{ image, repository: none, tag: none, digest: none }];
  });
}

function splitTag(name: string): { repository: string; tag: string } {
  const colon = name.lastIndexOf(":");
  return colon > name.lastIndexOf("/")
    ? { repository: name.slice(0, colon), tag: name.slice(colon + 1) }
    : { repository: name, tag: none };
}

function splitDigest(name: string): { repository: string; digest: string } {
  const at = name.indexOf("@");
  return { repository: name.slice(0, at), digest: name.slice(at + 1) };
}

const known = (size: number | undefined, format: (size: number) => string) =>
  size === undefined || size === -1 ? "N/A" : format(size);

export function imageSpec(options: {
  readonly whole: boolean;
  readonly digests: boolean;
  readonly now: number;
}): ListSpec<ImageRow> {
  const { whole, now } = options;
  return {
    typeName: "*formatter.imageContext",
    quiet: "ID",
    columns: ["Repository", "Tag", ...(options.digests ? ["Digest"] : []), "ID", "CreatedSince", "Size"],
    fields: {
      ID: { header: "IMAGE ID", value: ({ image }) => (whole ? image.Id : shortId(image.Id ?? "")) },
      Repository: { header: "REPOSITORY", value: ({ repository }) => repository },
      Tag: { header: "TAG", value: ({ tag }) => tag },
      Digest: { header: "DIGEST", value: ({ digest }) => digest },
      CreatedSince: { header: "CREATED", value: ({ image }) => since(image.Created ?? 0, now) },
      CreatedAt: { header: "CREATED AT", value: ({ image }) => goTime((image.Created ?? 0) * 1000) },
      Size: { header: "SIZE", value: ({ image }) => humanSize(image.Size ?? 0, 3) },
      Containers: { header: "CONTAINERS", value: ({ image }) => known(image.Containers, String) },
      VirtualSize: { header: "SIZE", value: ({ image }) => humanSize(image.Size ?? 0) },
      SharedSize: { header: "SHARED SIZE", value: ({ image }) => known(image.SharedSize, humanSize) },
      UniqueSize: {
        header: "UNIQUE SIZE",
        value: ({ image }) => known(image.SharedSize, (shared) => humanSize((image.Size ?? 0) - shared)),
      },
    },
  };
}

/** "5 days ago"; an image without a date says so. */
function since(created: number, now: number): string {
  return created <= 0 ? "N/A" : `${humanDuration(now - created * 1000)} ago`;
}
