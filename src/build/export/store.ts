import { invalid } from "../../base/lib/errors.ts";
import type { Digest, ImageId } from "../../base/lib/ids.ts";
import { parseReference, type Reference } from "../../base/spec/docker/reference.ts";
import { choosePlatform } from "../../base/spec/oci/platform.ts";
import type { Lease } from "../../core/content/content.ts";
import type { Image } from "../../core/image/image.ts";
import { Activity } from "../activity.ts";
import type { Assembled } from "./assemble.ts";
import type { ExportDeps } from "./deps.ts";
import type { ExportContext, Exporter, ExportReply } from "./exporter.ts";
import type { FinishedImage } from "./finish.ts";
import { flag, type ImageFormat } from "./format.ts";
import { baseBlobs, recordConfig } from "./image.ts";
import { type ImageMaker, imageResponse } from "./images.ts";
import { canonicalName, namesOf, repositoryName, storedName } from "./names.ts";

/** What `--output type=image` asks for besides how the image is written. */
interface Wanted {
  readonly names: readonly Reference[];
  readonly store: boolean;
  readonly push: boolean;
  readonly byDigest: boolean;
  readonly insecure: boolean;
  readonly canonical: boolean;
  readonly danglingPrefix: string;
}

/** `--output type=image`: the image in this host's store by its names, and in a registry with `push=true`. */
export function storeExporter(deps: ExportDeps, maker: ImageMaker): Exporter {
  return async (context) => {
    const format = maker.format(context);
    const wanted = read(context.output.attributes);
    const step = new Activity(deps.clock, context.progress, "exporting to image");
    try {
      using lease = deps.content.lease();
      const images = await maker.finish(context, step, lease, format.rewrite);
      const reply = isPlain(context, format, wanted)
        ? await record(deps, { images, wanted, step, lease })
        : await write(deps, maker, context, { images, format, wanted, step, lease });
      step.done();
      return reply;
    } catch (error) {
      step.done(error);
      throw error;
    }
  };
}

function read(attributes: Readonly<Record<string, string>>): Wanted {
  const byDigest = flag(attributes, "push-by-digest", false);
  const push = flag(attributes, "push", false) || byDigest;
  const names = namesOf(attributes);
  // BuildKit spells it so (exporter/containerimage/exptypes/keys.go).
  const emptyOnly = flag(attributes, "danging-name-empty-only", false);
  if (push && names.length === 0) throw invalid("tag is needed when pushing to registry");
  return {
    names,
    push,
    byDigest,
    store: flag(attributes, "store", true),
    insecure: flag(attributes, "registry.insecure", false),
    canonical: flag(attributes, "name-canonical", false),
    danglingPrefix: emptyOnly && names.length > 0 ? "" : (attributes["dangling-name-prefix"] ?? ""),
  };
}

/** Nothing was asked for that only documents can have: those are then made when something carries the image elsewhere. */
function isPlain({ request, targets, output }: ExportContext, format: ImageFormat, wanted: Wanted): boolean {
  const { provenance, sbom } = request.attestations;
  const documents =
    format.annotations.length > 0 ||
    format.compression !== undefined ||
    format.rewrite !== undefined ||
    output.attributes["oci-mediatypes"] !== undefined ||
    wanted.canonical ||
    wanted.danglingPrefix !== "";
  const attested = (provenance !== false && provenance.inlineOnly !== true) || sbom !== false;
  return (
    targets.length === 1 && !request.multiPlatform && wanted.store && !wanted.push && !documents && !attested
  );
}

async function record(
  deps: ExportDeps,
  made: {
    readonly images: readonly FinishedImage[];
    readonly wanted: Wanted;
    readonly step: Activity;
    readonly lease: Lease;
  },
): Promise<ExportReply> {
  const { images, wanted, step, lease } = made;
  const [only] = images;
  if (!only) return { response: {} };
  const { config, solved } = only;
  const names = wanted.names.map(storedName);
  const image = await recordConfig(deps, { target: solved.target, config, names }, lease);
  await step.part(`writing image ${image.id}`, async () => undefined);
  await tell(deps, step, image, wanted.names);
  const shown = wanted.names.map(canonicalName);
  const response = {
    "containerimage.config.digest": image.id,
    "containerimage.digest": image.id,
    ...(shown.length > 0 ? { "image.name": shown.join(",") } : {}),
  };
  return { response, imageId: image.id };
}

async function tell(
  deps: ExportDeps,
  step: Activity,
  image: Image,
  names: readonly Reference[],
): Promise<void> {
  for (const name of names)
    await step.part(`naming to ${canonicalName(name)}`, async () => deps.tagged(image, storedName(name)));
}

async function write(
  deps: ExportDeps,
  maker: ImageMaker,
  context: ExportContext,
  options: {
    readonly images: readonly FinishedImage[];
    readonly format: ImageFormat;
    readonly wanted: Wanted;
    readonly step: Activity;
    readonly lease: Lease;
  },
): Promise<ExportReply> {
  const { images, format, wanted, step, lease } = options;
  const shown = wanted.names.map(wanted.byDigest ? repositoryName : canonicalName);
  const made = await maker.assemble(context, step, images, { format, names: shown, lease });
  const imageId = wanted.store ? await keep(deps, made, wanted, step) : undefined;
  if (wanted.push) await push(deps, context, made, wanted, step);
  const { digest } = made.target;
  const dangling = wanted.danglingPrefix !== "" ? [`${wanted.danglingPrefix}@${digest}`] : [];
  const canonical = wanted.canonical ? wanted.names.map((ref) => `${repositoryName(ref)}@${digest}`) : [];
  const response = imageResponse(made, [...shown, ...dangling, ...canonical]);
  return { response, ...(imageId !== undefined && { imageId }) };
}

/** Records of all platforms, named by the index if there is one; the id of the one that suits this host. */
async function keep(deps: ExportDeps, made: Assembled, wanted: Wanted, step: Activity): Promise<ImageId> {
  const { digest } = made.target;
  const names = wanted.byDigest ? [] : wanted.names.map(storedName);
  const references = [
    ...names,
    ...(wanted.danglingPrefix !== "" ? [`${wanted.danglingPrefix}@${digest}`] : []),
    ...(wanted.canonical ? wanted.names.map((ref) => `${storedRepository(ref)}@${digest}`) : []),
  ];
  const index = made.index && {
    ...made.index,
    blobs: made.images.flatMap(({ attestation }) => attestation?.blobs ?? []),
  };
  const kept = new Map<Digest, Image>();
  for (const { finished, config, manifest } of made.images) {
    const { platform: _platform, annotations: _annotations, ...own } = manifest;
    const image = deps.images.add({
      id: config.digest as string as ImageId,
      manifest: own,
      ...(index && { index }),
      references,
      blobs: await baseBlobs(deps, finished.solved.target),
    });
    kept.set(manifest.digest, image);
  }
  const chosen = choosePlatform(
    made.images.map(({ manifest }) => manifest),
    deps.host,
  );
  const image = (chosen && kept.get(chosen.digest)) ?? [...kept.values()][0];
  if (!image) throw invalid("a build without a platform makes no image");
  await step.part(`writing image ${image.id}`, async () => undefined);
  await tell(deps, step, image, wanted.byDigest ? [] : wanted.names);
  return image.id;
}

const storedRepository = (ref: Reference) => storedName(ref).replace(/:[^:/]+$/, "");

async function push(
  deps: ExportDeps,
  context: ExportContext,
  made: Assembled,
  wanted: Wanted,
  step: Activity,
): Promise<void> {
  const { session, signal } = context;
  const { insecure } = wanted;
  // What is pushed is named by its digest alone: annotations of the descriptor are an index's matter.
  const { annotations: _, ...target } = made.target;
  const sources = context.targets.flatMap((solved) =>
    solved.target.base ? [withoutTag(parseReference(solved.target.base.reference))] : [],
  );
  for (const ref of wanted.names) {
    const options = { ref: withoutTag(ref), insecure, session, signal, sources };
    await step.part("pushing layers", () => deps.push.document(target, options));
    const name = wanted.byDigest ? repositoryName(ref) : canonicalName(ref);
    await step.part(`pushing manifest for ${name}@${target.digest}`, async () => {
      if (!wanted.byDigest) await deps.push.name(target, { ...options, ref });
    });
  }
}

const withoutTag = (ref: Reference): Reference => ({ ...ref, tag: undefined, digest: undefined });
