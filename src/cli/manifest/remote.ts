import { isCode, notFound } from "../../base/lib/errors.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { isIndexType } from "../../base/spec/oci/media-types.ts";
import { parseDescriptor, parseIndex } from "../../base/spec/oci/parse.ts";
import { getManifest } from "../../client/distribution/manifest.ts";
import { registryAuth } from "../config/credentials.ts";
import type { Context } from "../context.ts";
import { fullReference, type StoredManifest, storedManifest } from "./store.ts";

/** What a registry has under a name: one manifest, or those of a list. */
export type RemoteManifest =
  | { readonly kind: "manifest"; readonly manifest: StoredManifest }
  | { readonly kind: "list"; readonly descriptors: readonly Descriptor[] };

/** Asks the registry, through the daemon. Throws not-found in the client's words. */
export async function remoteManifest(
  context: Context,
  text: string,
  insecure: boolean,
): Promise<RemoteManifest> {
  const { name, reference } = fullReference(text);
  const client = await context.client();
  const auth = await registryAuth(context, reference.domain);
  try {
    const { Descriptor: descriptor, Document: document } = await getManifest(client, name, {
      auth,
      insecure,
    });
    const parsed = parseDescriptor(descriptor, "manifest");
    if (!isIndexType(parsed.mediaType)) {
      return { kind: "manifest", manifest: storedManifest(name, parsed, document) };
    }
    const { manifests } = parseIndex(Buffer.from(document), parsed.mediaType);
    return { kind: "list", descriptors: manifests };
  } catch (error) {
    if (isCode(error, "not-found")) throw notFound(`no such manifest: ${name}`, error);
    throw error;
  }
}
