import { type Call, param } from "../../call.ts";
import { post, type Route } from "../../route.ts";
import { HijackedClient } from "../../stream-client.ts";
import type { AttachOptions, ContainerStreamBackend } from "./backend.ts";

/** POST /containers/{id}/attach */
export function attachRoute(backend: ContainerStreamBackend): Route {
  return post("/containers/{id...}/attach", async (call) => {
    const options = attachOptions(call);
    const client = new HijackedClient(call, { stdin: options.stdin });
    await backend.attach(param(call, "id"), options, client);
    await client.finish(false);
  });
}

export function attachOptions({ query }: Call): AttachOptions {
  return {
    stream: query.bool("stream"),
    logs: query.bool("logs"),
    stdin: query.bool("stdin"),
    stdout: query.bool("stdout"),
    stderr: query.bool("stderr"),
    detachKeys: query.optional("detachKeys"),
  };
}
