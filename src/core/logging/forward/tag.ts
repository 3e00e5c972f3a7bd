import { hostname } from "node:os";
import { invalid } from "../../../base/lib/errors.ts";
import { shortId } from "../../../base/lib/ids.ts";
import type { LogContext } from "../logging.ts";

export type TagContext = Pick<LogContext, "id" | "name" | "imageId" | "imageName" | "command" | "labels">;

/**
 * The `tag` option: Docker's template fields of a container ({{.Name}}, {{.ID}}, {{.ImageName}}, {{index .ContainerLabels "a"}}, ...). The
 * rest of Go's template language is refused by name rather than printed as text.
 */
export function renderTag(template: string, context: TagContext): string {
  const name = context.name.replace(/^\//, "");
  const fields: Readonly<Record<string, string>> = {
    ID: shortId(context.id),
    FullID: context.id,
    ContainerID: context.id,
    Name: name,
    ContainerName: `/${name}`,
    ImageID: shortId(context.imageId),
    ImageFullID: context.imageId,
    ContainerImageID: context.imageId,
    ImageName: context.imageName,
    ContainerImageName: context.imageName,
    Command: context.command,
    DaemonName: "docker",
    Hostname: hostname(),
  };
  return template.replace(/\{\{-?\s*(.*?)\s*-?\}\}/gs, (_, expression: string) => {
    const field = /^\.(\w+)$/.exec(expression)?.[1];
    const value = field === undefined ? undefined : fields[field];
    if (value !== undefined) return value;
    const label = /^index\s+\.ContainerLabels\s+"([^"]*)"$/.exec(expression)?.[1];
    if (label !== undefined) return Object.hasOwn(context.labels, label) ? (context.labels[label] ?? "") : "";
    throw invalid(`logger: invalid tag template: ${JSON.stringify(`{{${expression}}}`)}`);
  });
}

const probe: TagContext = { id: "", name: "", imageId: "", imageName: "", command: "", labels: {} };

/** Throws for a template that `renderTag` would refuse. */
export function checkTag(template: string | undefined): void {
  if (template !== undefined) renderTag(template, probe);
}
