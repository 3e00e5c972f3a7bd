import { acceptWebsocket } from "../../../base/http/websocket.ts";
import { param } from "../../call.ts";
import { get, type Route } from "../../route.ts";
import { WebsocketClient } from "../../websocket-client.ts";
import { attachOptions } from "./attach.ts";
import type { ContainerStreamBackend } from "./backend.ts";

/** GET /containers/{id}/attach/ws: attach for browsers. Output is never framed; the messages carry plain bytes. */
export function attachWebsocketRoute(backend: ContainerStreamBackend): Route {
  return get("/containers/{id...}/attach/ws", async (call) => {
    const asked = attachOptions(call);
    // Before 1.42 all three were attached whatever the query said.
    const options = call.version < 42 ? { ...asked, stdin: true, stdout: true, stderr: true } : asked;
    const accept = acceptWebsocket(call.exchange);
    const client = new WebsocketClient(call.exchange.signal, accept, {
      stdin: options.stdin,
      // Text messages until 1.28, binary ones since.
      binary: call.version >= 28,
    });
    await backend.attach(param(call, "id"), options, client);
    await client.close();
  });
}
