import { TugError } from "../base/lib/errors.ts";
import type { AskedImage, FoundImage } from "../base/spec/builder/builder.ts";
import { formatReference, parseReference, withDefaultTag } from "../base/spec/docker/reference.ts";
import { type PlanDeps, resolveImage } from "./plan-build.ts";
import type { SolveOptions } from "./solve.ts";

/** What an image says of itself, for clients that plan themselves. */
export async function askImage(
  deps: Pick<PlanDeps, "images" | "clock">,
  { reference: text, platform, mode, store }: AskedImage,
  options: SolveOptions,
): Promise<FoundImage> {
  const parsed = withDefaultTag(parseReference(text));
  const reference = formatReference(parsed);
  const progressName = `resolve image config for ${store === undefined ? "docker-image" : "oci-layout"}://${text}`;
  const need = {
    key: reference,
    reference,
    platform,
    pull: mode === "pull",
    store,
    progressName,
    location: undefined,
  };
  const found = await resolveImage(deps, need, options);
  if (found instanceof TugError) throw found;
  const { digest = parsed.digest, config } = found;
  return {
    reference,
    pinned: digest === undefined ? reference : formatReference({ ...parsed, digest }),
    digest: digest ?? "",
    config: Buffer.from(JSON.stringify(config)),
  };
}
