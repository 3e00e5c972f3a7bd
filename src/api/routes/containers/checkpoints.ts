import { TugError } from "../../../base/lib/errors.ts";
import { readJson } from "../../body.ts";
import { empty, json, param } from "../../call.ts";
import { bool, decode, object, string } from "../../decode/shape.ts";
import { get, post, type Route, remove } from "../../route.ts";
import type { CheckpointBackend } from "./backend.ts";

const createShape = object<{ CheckpointID?: string; CheckpointDir?: string; Exit?: boolean }>({
  CheckpointID: string,
  CheckpointDir: string,
  Exit: bool,
});

const disabled: Route["handle"] = async () => {
  throw new TugError(
    "not-implemented",
    "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.",
  );
};

/** GET and POST /containers/{id}/checkpoints, DELETE /containers/{id}/checkpoints/{checkpoint} */
export function checkpointRoutes(backend: CheckpointBackend | undefined): readonly Route[] {
  const all = "/containers/{id...}/checkpoints";
  const one = `${all}/{checkpoint}`;
  if (!backend) return [get(all, disabled), post(all, disabled), remove(one, disabled)];
  return [
    get(all, async (call) =>
      json(call, 200, await backend.list(param(call, "id"), call.query.optional("dir"))),
    ),
    post(all, async (call) => {
      const body = decode(createShape, (await readJson(call.exchange)) ?? {}, "CreateRequest");
      await backend.create(param(call, "id"), {
        name: body.CheckpointID ?? "",
        directory: body.CheckpointDir || undefined,
        exit: body.Exit ?? false,
      });
      call.exchange.send(201, call.headers);
    }),
    remove(one, async (call) => {
      await backend.remove(param(call, "id"), param(call, "checkpoint"), call.query.optional("dir"));
      empty(call);
    }),
  ];
}
