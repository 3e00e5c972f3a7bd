import { invalid } from "../../../base/lib/errors.ts";
import { readJson } from "../../body.ts";
import { json, param } from "../../call.ts";
import { execCreateShape } from "../../decode/container.ts";
import { decode } from "../../decode/shape.ts";
import { get, post, type Route } from "../../route.ts";
import { terminalSize } from "../../terminal-size.ts";
import type { ExecBackend } from "./backend.ts";
import { execStartRoute } from "./start.ts";

export function execRoutes(backend: ExecBackend): readonly Route[] {
  return [
    post("/containers/{id...}/exec", async (call) => {
      const body = decode(execCreateShape, (await readJson(call.exchange)) ?? {}, "ExecCreateRequest");
      if (!body.Cmd?.length) throw invalid("No exec command specified");
      const { ConsoleSize, ...old } = body;
      const request = call.version < 42 || !ConsoleSize ? old : { ...old, ConsoleSize };
      json(call, 201, await backend.createExec(param(call, "id"), request));
    }),
    execStartRoute(backend),
    post("/exec/{id...}/resize", async (call) => {
      const { rows, columns } = terminalSize(call.query);
      await backend.resizeExec(param(call, "id"), rows, columns);
      call.exchange.send(200, call.headers);
    }),
    get("/exec/{id...}/json", async (call) => json(call, 200, await backend.inspectExec(param(call, "id")))),
  ];
}
