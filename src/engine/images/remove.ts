import { conflict } from "../../base/lib/errors.ts";
import { type ImageId, shortId } from "../../base/lib/ids.ts";
import type { ImageDeleteResponseItem } from "../../base/spec/docker/api.gen.ts";
import { familiarString, parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import { parsePlatform } from "../../base/spec/oci/platform.ts";
import type { Image } from "../../core/image/image.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { publishImage } from "./events.ts";
import { referencesOf, repositoryOf } from "./names.ts";

export interface RemoveOptions {
  readonly force: boolean;
  /** Keep parents that nothing else needs. */
  readonly noPrune: boolean;
  /** Only these platforms of it; all otherwise. */
  readonly platforms?: readonly string[];
}

/**
 * Docker's rules of removal. A name takes itself away, and the image with it when it was the last one; an id takes the whole image away if
 * all its names are of one repository. What a container uses stays, as does a parent of other images; `force` overrides stopped
 * containers and several names, nothing else.
 */
export async function removeImage(
  deps: ImageServiceDeps,
  reference: string,
  options: RemoveOptions,
): Promise<readonly ImageDeleteResponseItem[]> {
  const platforms = options.platforms ?? [];
  if (platforms.length > 0) return await removePlatforms(deps, reference, platforms, options.force);
  const { image: found, target, index } = deps.images.find(reference);
  return await deps.locks.run(`image ${found.id}`, async () => {
    const image = deps.images.get(found.id) ?? deps.images.resolve(reference);
    const removal = new Removal(deps, options);
    if (isIdPrefix(image, reference)) await removal.byId(image);
    else if (target && namesDocument(image, reference, target.digest)) {
      // An index is the image itself, a manifest one platform of it.
      if (index) await removal.byId(image);
      else await removal.platform(image, target.digest);
    } else await removal.byName(image, reference, familiarString(withDefaultTag(parseReference(reference))));
    return removal.records;
  });
}

/** Platforms of an index, each away without touching its names; with the last one those go too. */
async function removePlatforms(
  deps: ImageServiceDeps,
  reference: string,
  platforms: readonly string[],
  force: boolean,
): Promise<readonly ImageDeleteResponseItem[]> {
  const records: ImageDeleteResponseItem[] = [];
  const chosen = new Map(
    platforms.map((text) => {
      const found = deps.images.find(reference, parsePlatform(text, deps.platform));
      return [found.image.id, found] as const;
    }),
  );
  for (const { image, target } of chosen.values()) {
    const rest = await deps.locks.run(`image ${image.id}`, async () => {
      const removal = new Removal(deps, { force, noPrune: true });
      await removal.platform(image, target?.digest ?? image.id);
      return removal.records;
    });
    records.push(...rest);
  }
  return records;
}

/**
 * Names and records go in one write, so that a daemon which dies leaves an image with its names or nothing that shows of it; then they are told of,
 * and the layers go.
 */
class Removal {
  readonly records: ImageDeleteResponseItem[] = [];
  readonly #afterwards: (() => Promise<void> | void)[] = [];
  readonly #deps: ImageServiceDeps;
  readonly #options: RemoveOptions;

  constructor(deps: ImageServiceDeps, options: RemoveOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  async #atOnce(change: () => void): Promise<void> {
    this.#deps.images.atOnce(change);
    for (const step of this.#afterwards.splice(0)) await step();
  }

  /** `typed` is what the user wrote, `name` what it stands for. */
  async byName(image: Image, typed: string, name: string): Promise<void> {
    const [user] = this.#family(image).flatMap((one) => this.#deps.users.usersOf(one.id));
    if (!this.#options.force && user && isSingleReference(image)) {
      throw conflict(
        `conflict: unable to remove repository reference ${JSON.stringify(typed)} (must force) - ` +
          `container ${shortId(user.id)} is using its referenced image ${shortId(image.id)}`,
      );
    }
    await this.#atOnce(() => this.#takeName(image, name));
  }

  #takeName(image: Image, name: string): void {
    this.#untag(image, name);
    let rest = this.#references(image).filter((reference) => reference !== name);
    const repository = repositoryOf(name);
    const ofRepository = rest.filter((reference) => repositoryOf(reference) === repository);
    // With the last tag of a repository its digests go too.
    if (!name.includes("@") && ofRepository.every((reference) => reference.includes("@"))) {
      for (const digest of ofRepository) this.#drop(digest);
      rest = rest.filter((reference) => !ofRepository.includes(reference));
    }
    if (rest.length === 0) this.#delete(image, { quiet: true, force: this.#options.force });
  }

  /** One platform of several: names that only it has keep it, as they keep any image. */
  async platform(image: Image, digest: string): Promise<void> {
    if (image.siblings.length === 0) return await this.byId(image);
    const problem = this.#conflict([image], { soft: !this.#options.force, references: false });
    if (problem) throw conflict(problem.message);
    const layers = await this.#deps.images.delete(image.id);
    publishImage(this.#deps, "delete", image, image.id);
    const gone = [digest, image.id, ...layers].map((Deleted) => ({ Deleted }));
    this.records.push(...gone);
  }

  async byId(image: Image): Promise<void> {
    await this.#atOnce(() => this.#takeImage(image));
  }

  #takeImage(image: Image): void {
    if (isSingleReference(image)) {
      const problem = this.#conflict(this.#family(image), { soft: !this.#options.force, references: false });
      if (problem) throw conflict(problem.message);
      for (const reference of referencesOf(image)) this.#untag(image, reference);
    }
    this.#delete(image, { quiet: false, force: this.#options.force });
  }

  /** Takes names, record and layers away. `quiet`: a name was removed already, so a conflict that is no news is none. */
  #delete(image: Image, options: { readonly quiet: boolean; readonly force: boolean }): void {
    const family = this.#family(image);
    const problem = this.#conflict(family, { soft: !options.force, references: true });
    if (problem) {
      if (options.quiet && (this.#references(image).length > 0 || problem.used)) return;
      throw conflict(problem.message);
    }
    for (const reference of this.#references(image)) this.#untag(image, reference);
    for (const one of family) {
      const removeLayers = this.#deps.images.drop(one.id);
      this.#afterwards.push(async () => {
        const layers = await removeLayers();
        publishImage(this.#deps, "delete", one, one.id);
        this.records.push({ Deleted: one.id }, ...layers.map((layer) => ({ Deleted: layer })));
      });
    }
    const { parent } = image;
    if (!this.#options.noPrune && parent !== undefined)
      this.#afterwards.push(() => this.#pruneParent(parent));
  }

  /** A parent goes with its last child, unless somebody named or uses it. */
  async #pruneParent(id: ImageId): Promise<void> {
    const parent = this.#deps.images.get(id);
    if (!parent || this.#references(parent).length > 0) return;
    if (this.#conflict([parent], { soft: true, references: true })) return;
    await this.#atOnce(() => this.#delete(parent, { quiet: true, force: false }));
  }

  #untag(image: Image, reference: string): void {
    this.#drop(reference);
    this.#afterwards.push(() => publishImage(this.#deps, "untag", image, image.id));
  }

  /** Digests that go with the last tag are no event to dockerd. */
  #drop(reference: string): void {
    this.#deps.images.untag(reference);
    this.#afterwards.push(() => void this.records.push({ Untagged: reference }));
  }

  /** The image and its other platforms that are part of nothing else: the first is the image itself. */
  #family(image: Image): readonly [Image, ...Image[]] {
    const { images } = this.#deps;
    const others = image.siblings.flatMap((id) => images.get(id) ?? []);
    const free = others.filter((one) => {
      if (referencesOf(one).length > 0) return false;
      const holders = one.siblings.flatMap((id) => images.get(id) ?? []);
      return !holders.some((holder) => holder.id !== image.id && referencesOf(holder).length > 0);
    });
    return [image, ...free];
  }

  #references(image: Image): readonly string[] {
    const now = this.#deps.images.get(image.id);
    return now ? referencesOf(now) : [];
  }

  #conflict(
    family: readonly [Image, ...Image[]],
    check: { readonly soft: boolean; readonly references: boolean },
  ): { readonly message: string; readonly used: boolean } | undefined {
    const [image] = family;
    const users = family.flatMap((one) => this.#deps.users.usersOf(one.id));
    const because = (how: string, reason: string, used: boolean) => ({
      message: `conflict: unable to delete ${shortId(image.id)} (${how}) - ${reason}`,
      used,
    });
    const running = users.find((user) => user.running);
    if (running) {
      return because(
        "cannot be forced",
        `image is being used by running container ${shortId(running.id)}`,
        true,
      );
    }
    if (this.#deps.images.list().some((other) => other.parent === image.id)) {
      // An image with children is not dangling: who took its name away is not told that the rest stays.
      return because("cannot be forced", "image has dependent child images", true);
    }
    if (!check.soft) return undefined;
    const [stopped] = users;
    if (stopped) {
      return because(
        "must be forced",
        `image is being used by stopped container ${shortId(stopped.id)}`,
        true,
      );
    }
    if (check.references && this.#references(image).length > 0) {
      return because("must be forced", "image is referenced in multiple repositories", false);
    }
    return undefined;
  }
}

function isIdPrefix(image: Image, reference: string): boolean {
  return image.id.startsWith(reference) || image.id.slice("sha256:".length).startsWith(reference);
}

/** The word is the digest of the image's index or of one of its manifests, and no name of it. */
function namesDocument(image: Image, reference: string, digest: string): boolean {
  if (digest.startsWith(reference)) return true;
  if (digest.slice("sha256:".length).startsWith(reference)) return !hasName(image, reference);
  return reference.endsWith(`@${digest}`) && !hasName(image, reference);
}

function hasName(image: Image, reference: string): boolean {
  const named = parseReference(reference);
  const name = familiarString({ ...withDefaultTag(named), ...(named.digest ? { tag: undefined } : {}) });
  return referencesOf(image).includes(name);
}

/** At most one tag, and digests of its repository only. */
function isSingleReference(image: Image): boolean {
  if (image.tags.length + image.digests.length <= 1) return true;
  if (image.tags.length > 1) return false;
  const repositories = new Set(image.digests.map(repositoryOf));
  const [tag] = image.tags;
  return repositories.size === 1 && (tag === undefined || repositories.has(repositoryOf(tag)));
}
