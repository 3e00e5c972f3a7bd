import { json, param } from "../../call.ts";
import { registryAuth } from "../../registry-auth.ts";
import { get, put, type Route } from "../../route.ts";
import type { ImageBackend } from "./backend.ts";

/** Registries cap manifests at 4 MiB. */
const maxDocument = 4 * 1024 * 1024;

/**
 * GET and PUT /distribution/{name}/manifest, of Tug's own: what `tug manifest` works with, so that it reaches registries the way
 * the daemon does (certificates, proxies, insecure registries).
 */
export function manifestRoutes(backend: ImageBackend): readonly Route[] {
  return [
    get("/distribution/{name...}/manifest", async (call) => {
      const options = { auth: registryAuth(call.exchange.headers), insecure: call.query.bool("insecure") };
      json(call, 200, await backend.readManifest(param(call, "name"), options));
    }),
    put("/distribution/{name...}/manifest", async (call) => {
      const { query, exchange } = call;
      const options = {
        auth: registryAuth(exchange.headers),
        insecure: query.bool("insecure"),
        mediaType: query.text("mediaType"),
        from: query.all("from"),
      };
      const document = await exchange.body.bytes(maxDocument);
      json(call, 201, await backend.writeManifest(param(call, "name"), document, options, exchange.signal));
    }),
  ];
}
