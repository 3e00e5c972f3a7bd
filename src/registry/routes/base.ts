import type { Parts } from "../parts.ts";
import { SpecError } from "../spec-error.ts";
import { type Route, sendJson } from "./route.ts";

/** distribution-spec v1.1, "Determining Support": where clients learn how to authenticate. */
export function baseRoutes(parts: Parts): readonly Route[] {
  const run: Route["run"] = async (call) => {
    if (parts.access.guardsRoot && !call.identity.proven) {
      throw new SpecError("UNAUTHORIZED", "authentication required", undefined, {
        headers: { "WWW-Authenticate": parts.access.challenge(call.exchange, undefined) },
      });
    }
    sendJson(call, 200, {});
  };
  return ["GET", "HEAD"].flatMap((method) =>
    ["/v2/", "/v2"].map((pattern) => ({ method, pattern, name: "base", action: undefined, run })),
  );
}
