import { invalid, isCode, TugError } from "../../base/lib/errors.ts";
import type { ChainId, Digest, ImageId } from "../../base/lib/ids.ts";
import type { BuildSession } from "../../base/spec/builder/session.ts";
import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import {
  familiarName,
  familiarString,
  parseReference,
  withDefaultTag,
} from "../../base/spec/docker/reference.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import type { ImageConfig } from "../../base/spec/oci/image.ts";
import { formatPlatform } from "../../base/spec/oci/platform.ts";
import type { Image } from "../../core/image/image.ts";
import { LayoutImages, SessionLeases } from "./build-layouts.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { pullImage } from "./pull.ts";

/** Whoever ordered the build, as far as registries go. */
export type BuildCredentials = Pick<BuildSession, "credentials">;

interface Asked {
  readonly signal: AbortSignal;
  readonly session: Pick<BuildSession, "credentials" | "blob" | "signal">;
}

/** What is known of a base image: `digest` of what its name means (index or manifest), `image` of its config. */
export interface BuildBase {
  readonly digest: Digest | undefined;
  readonly image: Digest;
  readonly config: ImageConfig;
}

/** An image as a build has pinned it. */
export type PinnedImage = NamedImage | LayoutImage;

export interface NamedImage {
  readonly kind: "image";
  readonly reference: string;
  readonly image: Digest;
  readonly platform: Platform;
}

/** Of a content store of the client's. */
export interface LayoutImage {
  readonly kind: "oci-layout";
  readonly store: string;
  readonly manifest: Digest;
  readonly platform: Platform;
}

/** How many configs of images that are not here are remembered between resolving and reading. */
const remembered = 256;

/**
 * The images that builds begin from: those that are here, or what their registry says. Documents come first; layers only when a step
 * reads them, and then the image is here under its name, as after a pull.
 */
export class BuildImageSource {
  readonly #deps: ImageServiceDeps;
  readonly #resolved = new Map<Digest, BuildBase>();
  readonly #leases: SessionLeases;
  readonly #layouts: LayoutImages;

  constructor(deps: ImageServiceDeps) {
    this.#deps = deps;
    this.#leases = new SessionLeases(deps);
    this.#layouts = new LayoutImages(deps, this.#leases);
  }

  async resolve(
    reference: string,
    platform: Platform,
    { pull, session, signal, store }: Asked & { readonly pull: boolean; readonly store?: string },
  ): Promise<BuildBase> {
    if (store !== undefined) {
      const { digest } = parseReference(reference);
      if (digest === undefined) throw invalid(`${reference} has no digest`);
      const found = await this.#layouts.read(digest, platform, { name: store, session, signal });
      return { digest: found.manifest, image: found.configDigest, config: found.config };
    }
    const here = pull ? undefined : this.#find(reference, platform);
    if (here) return here;
    const { registry, fetcher } = this.#deps;
    const ref = withDefaultTag(parseReference(reference));
    const lease = this.#leases.of(session);
    const remote = { auth: await authOf(session, ref.domain), platform, signal, lease };
    const resolved = await registry.resolve(ref, remote);
    const base: BuildBase = {
      digest: resolved.target.digest,
      image: resolved.config.digest,
      config: await fetcher.config(ref, resolved, remote),
    };
    this.#resolved.set(base.image, base);
    const [oldest] = this.#resolved.keys();
    if (this.#resolved.size > remembered && oldest !== undefined) this.#resolved.delete(oldest);
    return base;
  }

  async chain(
    image: PinnedImage,
    session: Asked["session"],
    signal: AbortSignal,
  ): Promise<ChainId | undefined> {
    if (image.kind === "oci-layout") {
      const { config } = await this.#layout(image, { session, signal });
      return chainIds(config.rootfs.diff_ids).at(-1);
    }
    const config = this.#deps.images.get(image.image as string as ImageId)?.config;
    const known = config ?? this.#resolved.get(image.image)?.config;
    if (!known) throw gone(image);
    return chainIds(known.rootfs.diff_ids).at(-1);
  }

  async layers(
    pinned: PinnedImage,
    options: Asked & {
      readonly progress: {
        part(
          name: string,
          state: { readonly current: number; readonly total: number; readonly done?: boolean },
        ): void;
      };
    },
  ): Promise<ChainId | undefined> {
    if (pinned.kind === "oci-layout") {
      const { session, signal, progress } = options;
      const store = { name: pinned.store, session, signal };
      return await this.#layouts.unpack(
        await this.#layout(pinned, options),
        store,
        (name, current, total, done) => progress.part(name, { current, total, done }),
      );
    }
    return ((await this.#here(pinned)) ?? (await this.#pull(pinned, options))).chainId;
  }

  async #layout({ manifest, platform, store }: LayoutImage, { session, signal }: Asked) {
    return await this.#layouts.read(manifest, platform, { name: store, session, signal });
  }

  /** The image while its layers are here. */
  async #here({ image }: NamedImage): Promise<Image | undefined> {
    const found = this.#deps.images.get(image as string as ImageId);
    const whole = found && chainIds(found.layers).every((layer) => this.#deps.snapshots.stat(layer));
    return whole ? found : undefined;
  }

  async #pull(pinned: NamedImage, options: Parameters<BuildImageSource["layers"]>[1]): Promise<Image> {
    const { images } = this.#deps;
    const ref = withDefaultTag(parseReference(pinned.reference));
    const digest = this.#resolved.get(pinned.image)?.digest;
    // By digest: the name may mean another image by now.
    const exact = digest === undefined ? ref : { ...ref, tag: undefined, digest };
    const auth = await authOf(options.session, ref.domain);
    const asked = { platform: formatPlatform(pinned.platform), auth, allTags: false };
    for await (const { id, status, progressDetail } of pullImage(
      this.#deps,
      familiarString(exact),
      asked,
      options.signal,
    )) {
      if (id === undefined || id === "") continue;
      if (status === "Pull complete" || status === "Already exists")
        options.progress.part(id, { current: 0, total: 0, done: true });
      else if (status === "Downloading" && progressDetail)
        options.progress.part(id, { current: progressDetail.current ?? 0, total: progressDetail.total ?? 0 });
    }
    const image = images.get(pinned.image as string as ImageId);
    if (!image) throw gone(pinned);
    if (ref.digest === undefined && digest !== undefined) {
      await this.#deps.locks.run(`image ${image.id}`, async () => {
        images.tag(image.id, familiarString(ref), digest);
      });
    }
    return image;
  }

  #find(reference: string, platform: Platform): BuildBase | undefined {
    const ref = withDefaultTag(parseReference(reference));
    try {
      const { image, target } = this.#deps.images.find(familiarString(ref), platform);
      return { digest: target?.digest, image: image.id as string as Digest, config: image.config };
    } catch (error) {
      if (isCode(error, "not-found")) return undefined;
      throw error;
    }
  }
}

/** Credentials as registries take them. */
export async function authOf(session: BuildCredentials, host: string): Promise<AuthConfig | undefined> {
  const found = await session.credentials(host);
  if (!found) return undefined;
  if (found.registryToken !== undefined) return { registrytoken: found.registryToken };
  // What Docker's credential helpers say of an identity token.
  if (found.username === "<token>" || found.username === "") return { identitytoken: found.secret };
  return { username: found.username, password: found.secret };
}

function gone({ reference }: NamedImage): TugError {
  return new TugError(
    "conflict",
    `the image ${familiarName(parseReference(reference))} was removed while it was built on`,
  );
}
