import { isCode, messageOf } from "../../../base/lib/errors.ts";
import { readJson } from "../../body.ts";
import { param } from "../../call.ts";
import { execStartShape } from "../../decode/container.ts";
import { decode } from "../../decode/shape.ts";
import { post, type Route } from "../../route.ts";
import { HijackedClient } from "../../stream-client.ts";
import type { ExecBackend } from "./backend.ts";

/** POST /exec/{id}/start */
export function execStartRoute(backend: ExecBackend): Route {
  return post("/exec/{id...}/start", async (call) => {
    const id = param(call, "id");
    const body = decode(execStartShape, (await readJson(call.exchange)) ?? {}, "ExecStartRequest");
    const tty = body.Tty ?? false;
    const options = {
      detach: body.Detach ?? false,
      tty,
      // There is no console without a terminal, and there was none to size before 1.42.
      consoleSize: tty && call.version >= 42 ? body.ConsoleSize : undefined,
    };
    if (options.detach) {
      await backend.startExec(id, options, undefined);
      call.exchange.send(200, call.headers);
      return;
    }
    const { OpenStdin } = await backend.inspectExec(id);
    const client = new HijackedClient(call, { stdin: OpenStdin });
    try {
      await backend.startExec(id, options, client);
    } catch (error) {
      // A command that cannot be run is told in the stream; clients then read the exit code (126, 127) from the inspection.
      if (!client.begun && !isCode(error, "runtime-command")) throw error;
      if (!client.begun) client.begin({ tty });
      await client.write("stdout", Buffer.from(`${messageOf(error)}\r\n`));
    }
    await client.finish(tty);
  });
}
