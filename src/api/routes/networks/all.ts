import { invalid } from "../../../base/lib/errors.ts";
import { readJson } from "../../body.ts";
import { type Call, empty, json, param } from "../../call.ts";
import { networkReply } from "../../compat/network.ts";
import { connectShape, disconnectShape, networkCreateShape } from "../../decode/network.ts";
import { decode } from "../../decode/shape.ts";
import { get, post, type Route, remove } from "../../route.ts";
import type { NetworkBackend } from "./backend.ts";

export function networkRoutes(backend: NetworkBackend): readonly Route[] {
  const list: Route["handle"] = async (call) => {
    const networks = await backend.list(call.query.filters());
    json(
      call,
      200,
      networks.map((network) => networkReply(call.version, network)),
    );
  };
  return [
    get("/networks", list),
    // moby registers the bare path with a slash too.
    get("/networks/", list),
    get("/networks/{id...}", async (call) => {
      const verbose = goBool(call.query.text("verbose"));
      const network = await backend.inspect(param(call, "id"), {
        verbose,
        scope: call.query.optional("scope"),
      });
      json(call, 200, networkReply(call.version, network));
    }),
    post("/networks/create", async (call) => {
      const request = decode(networkCreateShape, await required(call), "CreateRequest");
      const { EnableIPv4, ...old } = request;
      const known = call.version < 48 || EnableIPv4 === undefined ? old : request;
      json(call, 201, await backend.create({ ...known, Name: request.Name ?? "" }));
    }),
    post("/networks/{id...}/connect", async (call) => {
      const request = decode(connectShape, await required(call), "ConnectRequest");
      await backend.connect(param(call, "id"), request.Container ?? "", request.EndpointConfig ?? undefined);
      call.exchange.send(200, call.headers);
    }),
    post("/networks/{id...}/disconnect", async (call) => {
      const request = decode(disconnectShape, await required(call), "DisconnectRequest");
      await backend.disconnect(param(call, "id"), request.Container ?? "", { force: request.Force ?? false });
      call.exchange.send(200, call.headers);
    }),
    remove("/networks/{id...}", async (call) => {
      await backend.remove(param(call, "id"));
      empty(call);
    }),
    post("/networks/prune", async (call) => json(call, 200, await backend.prune(call.query.filters()))),
  ];
}

/** strconv.ParseBool, which this one parameter is read with. */
function goBool(text: string): boolean {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return true;
  if (["", "0", "f", "F", "FALSE", "false", "False"].includes(text)) return false;
  throw invalid(
    `invalid value for verbose: ${text}: strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`,
  );
}

async function required(call: Call): Promise<unknown> {
  const body = await readJson(call.exchange);
  if (body === undefined || body === null) throw invalid("invalid JSON: got EOF while reading request body");
  return body;
}
