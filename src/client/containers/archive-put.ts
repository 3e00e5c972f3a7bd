import { type Client, segment } from "../client.ts";
import type { RequestBody } from "../http/transport.ts";

/** PUT /containers/{id}/archive: unpacks a tar into a directory. */
export async function putArchive(
  client: Client,
  id: string,
  path: string,
  tar: RequestBody,
  options: {
    readonly noOverwriteDirNonDir?: boolean;
    readonly copyOwnership?: boolean;
    readonly signal?: AbortSignal | undefined;
  } = {},
): Promise<void> {
  await client.text({
    method: "PUT",
    path: `/containers/${segment(id)}/archive`,
    query: {
      path,
      noOverwriteDirNonDir: options.noOverwriteDirNonDir ? "true" : undefined,
      copyUIDGID: options.copyOwnership ? "true" : undefined,
    },
    contentType: "application/x-tar",
    body: tar,
    signal: options.signal,
  });
}
