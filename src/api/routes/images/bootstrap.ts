import type { ImageBootstrapRequest } from "../../../base/spec/docker/extensions.ts";
import { readJson } from "../../body.ts";
import { bool, decode, int, object, string, strings } from "../../decode/shape.ts";
import { streamProgress } from "../../progress.ts";
import { post, type Route } from "../../route.ts";
import type { ImageBackend } from "./backend.ts";

const shape = object<ImageBootstrapRequest>({
  Image: string,
  Tag: string,
  Mirror: string,
  Variant: string,
  Include: strings,
  Components: strings,
  Keyring: string,
  NoCheckSignature: bool,
  Platform: string,
  SourceDateEpoch: int,
});

/** POST /images/bootstrap, of Tug's own: progress messages, as a pull's. */
export function bootstrapRoute(backend: ImageBackend): Route {
  return post("/images/bootstrap", async (call) => {
    const request = decode(shape, (await readJson(call.exchange)) ?? {}, "ImageBootstrapRequest");
    const named = { ...request, Image: request.Image ?? "" };
    await streamProgress(call, backend.bootstrap(named, call.exchange.signal));
  });
}
