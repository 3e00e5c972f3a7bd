import { invalid } from "../../../base/lib/errors.ts";
import { readJson } from "../../body.ts";
import { json } from "../../call.ts";
import { containerConfigShape } from "../../decode/container.ts";
import { decode } from "../../decode/shape.ts";
import { post, type Route } from "../../route.ts";
import type { ContainerFilesBackend } from "./backend.ts";

/** POST /commit */
export function commitRoute(backend: ContainerFilesBackend): Route {
  return post("/commit", async (call) => {
    const { query } = call;
    const body = await readJson(call.exchange);
    const config =
      body === undefined || body === null ? undefined : decode(containerConfigShape, body, "Config");
    const container = query.text("container");
    if (container === "") throw invalid("invalid container name or ID: value is empty");
    const committed = await backend.commit(container, {
      repo: query.text("repo"),
      tag: query.text("tag"),
      comment: query.text("comment"),
      author: query.text("author"),
      pause: query.bool("pause", true),
      changes: query.all("changes"),
      config: config && Object.keys(config).length > 0 ? config : undefined,
    });
    json(call, 201, committed);
  });
}
