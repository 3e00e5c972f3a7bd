import type { Image } from "../../core/image/image.ts";
import type { ImageServiceDeps } from "./deps.ts";

/** Announces what happened to an image; the actor is its id, or the reference for pulls and pushes, as Docker has it. */
export function publishImage(
  deps: Pick<ImageServiceDeps, "events">,
  action: string,
  image: Image | undefined,
  name: string,
  actor: string = image?.id ?? name,
): void {
  deps.events.publish({
    type: "image",
    action,
    id: actor,
    attributes: { ...image?.config.config?.Labels, name },
  });
}
