import type { Digest } from "../../base/lib/ids.ts";
import type { ManifestReference, RepositoryName } from "../names.ts";
import type { BlobReader } from "../storage/storage.ts";

/**
 * The part of the registry that is a cache of other registries. For repositories of its own it has nothing to say, and the answers are
 * undefined; what it does bring is in storage and records afterwards, so that the next request needs nobody.
 */
export interface PullThrough {
  /** True when the repository mirrors another registry's: nobody can push to it. */
  mirrors(name: RepositoryName): boolean;
  /**
   * Makes sure that what the records say of `reference` is what upstream has. Returns "stale" when upstream cannot tell and what is here
   * has to do. Throws MANIFEST_UNKNOWN, DENIED, TOOMANYREQUESTS, UNAVAILABLE when there is nothing to serve.
   */
  refresh(
    name: RepositoryName,
    reference: ManifestReference,
    signal: AbortSignal,
  ): Promise<"fresh" | "stale">;
  /** Tags that upstream has, as `listTags` gives those that are here; undefined when upstream cannot tell. */
  listTags(
    name: RepositoryName,
    page: { readonly last: string; readonly limit: number },
    signal: AbortSignal,
  ): Promise<readonly string[] | undefined>;
  /** Size of a blob that upstream has. */
  statBlob(
    name: RepositoryName,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<{ readonly size: number } | undefined>;
  /** A blob that is not here yet: readable while it comes. */
  openBlob(name: RepositoryName, digest: Digest, signal: AbortSignal): Promise<BlobReader | undefined>;
  /** Repository that a name means when the client says with `ns` whose it is (distribution-spec, "Registry Proxying"). */
  inNamespace(name: RepositoryName, namespace: string): RepositoryName | undefined;
}
