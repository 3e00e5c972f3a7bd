import type { ApiOptions } from "../../options.ts";
import { get, head, type Route } from "../../route.ts";

/** GET and HEAD /_ping: how clients learn the newest version (`Api-Version`) and what builds by default. */
export function pingRoutes(about: ApiOptions["about"]): readonly Route[] {
  const answer: Route["handle"] = async (call) => {
    const isHead = call.exchange.method === "HEAD";
    call.exchange.send(
      200,
      {
        ...call.headers,
        "Builder-Version": about.builder,
        Swarm: "inactive",
        "Cache-Control": "no-cache, no-store, must-revalidate",
        Pragma: "no-cache",
        "Content-Type": "text/plain; charset=utf-8",
        ...(isHead ? { "Content-Length": "0" } : {}),
      },
      isHead ? "" : "OK",
    );
  };
  return [get("/_ping", answer), head("/_ping", answer)];
}
