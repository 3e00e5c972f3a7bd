import { tugVersion } from "../../base/lib/product.ts";
import type { RegistryEvent } from "./notifier.ts";

/** One event in the envelope that distribution's registry sends (distribution documentation, "Work with notifications"). */
export function envelope(
  event: RegistryEvent,
  source: { readonly host: string; readonly now: number; readonly origin: string | undefined },
): object {
  const path =
    event.mediaType === "application/octet-stream" ? `blobs/${event.digest}` : `manifests/${event.digest}`;
  return {
    events: [
      {
        id: crypto.randomUUID(),
        timestamp: new Date(source.now).toISOString(),
        action: event.action,
        target: {
          mediaType: event.mediaType,
          digest: event.digest,
          size: event.size,
          length: event.size,
          repository: event.repository,
          ...(event.fromRepository !== undefined && { fromRepository: event.fromRepository }),
          ...(event.digest !== undefined && {
            url: `${source.origin ?? `http://${event.request.host}`}/v2/${event.repository}/${path}`,
          }),
          ...(event.tag !== undefined && { tag: event.tag }),
        },
        request: {
          id: crypto.randomUUID(),
          host: event.request.host,
          method: event.request.method,
          useragent: event.request.userAgent,
        },
        actor: { ...(event.actor !== undefined && { name: event.actor }) },
        source: { addr: source.host, instanceID: `tug-${tugVersion}` },
      },
    ],
  };
}
