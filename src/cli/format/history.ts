import { humanDuration } from "../../base/lib/human-duration.ts";
import { shortId } from "../../base/lib/ids.ts";
import type { ImageHistoryResponseItem } from "../../base/spec/docker/api.gen.ts";
import type { ListSpec } from "./list.ts";
import { ellipsis } from "./text.ts";
import { humanSize } from "./units.ts";

export function historySpec(options: {
  readonly whole: boolean;
  readonly human: boolean;
  readonly now: number;
}): ListSpec<ImageHistoryResponseItem> {
  const { whole, human, now } = options;
  const stamp = (item: ImageHistoryResponseItem) =>
    new Date(item.Created * 1000).toISOString().replace(/\.\d+Z$/, "Z");
  return {
    typeName: "*image.historyContext",
    quiet: "ID",
    columns: ["ID", human ? "CreatedSince" : "CreatedAt", "CreatedBy", "Size", "Comment"],
    fields: {
      ID: { header: "IMAGE", value: (item) => (whole ? item.Id : shortId(item.Id)) },
      CreatedSince: {
        header: "CREATED",
        value: (item) =>
          !human
            ? stamp(item)
            : item.Created <= 0
              ? "N/A"
              : `${humanDuration(now - item.Created * 1000)} ago`,
      },
      CreatedAt: { header: "CREATED AT", value: stamp },
      CreatedBy: { header: "CREATED BY", value: (item) => createdBy(item, whole) },
      Size: { header: "SIZE", value: (item) => (human ? humanSize(item.Size, 3) : String(item.Size)) },
      Comment: { header: "COMMENT", value: (item) => item.Comment },
    },
  };
}

function createdBy(item: ImageHistoryResponseItem, whole: boolean): string {
  const text = (item.CreatedBy ?? "").replaceAll("\t", " ");
  return whole ? text : ellipsis(text, 45);
}
