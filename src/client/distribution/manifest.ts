import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import type { DistributionManifest } from "../../base/spec/docker/extensions.ts";
import { authHeader } from "../auth.ts";
import { type Client, imagePath } from "../client.ts";

export interface ManifestRequest {
  readonly auth?: AuthConfig | undefined;
  /** The registry may have any certificate, or none. */
  readonly insecure: boolean;
}

/** GET /distribution/{name}/manifest: a registry's manifest or index as it is (of Tug's own). */
export async function getManifest(
  client: Client,
  name: string,
  options: ManifestRequest,
): Promise<DistributionManifest> {
  return await client.json({
    method: "GET",
    path: `/distribution/${imagePath(name)}/manifest`,
    query: { insecure: options.insecure },
    headers: authHeader(options.auth),
  });
}

/** PUT /distribution/{name}/manifest: puts an index there; what it lists is taken from the repositories `from`. Gives its digest. */
export async function putManifest(
  client: Client,
  name: string,
  document: string,
  options: ManifestRequest & { readonly mediaType: string; readonly from: readonly string[] },
): Promise<string> {
  const reply = await client.json<{ readonly Digest: string }>({
    method: "PUT",
    path: `/distribution/${imagePath(name)}/manifest`,
    query: { insecure: options.insecure, mediaType: options.mediaType, from: options.from },
    headers: authHeader(options.auth),
    body: document,
    contentType: options.mediaType,
  });
  return reply.Digest;
}
