import { invalid } from "../../../base/lib/errors.ts";
import { json } from "../../call.ts";
import { registryAuth } from "../../registry-auth.ts";
import { get, type Route } from "../../route.ts";
import type { ImageBackend } from "./backend.ts";

/** GET /images/search */
export function searchRoute(backend: ImageBackend): Route {
  return get("/images/search", async (call) => {
    const { query } = call;
    const text = query.text("limit");
    if (!/^\d{0,9}$/.test(text)) {
      throw invalid(`invalid limit specified: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
    }
    const limit = text === "" ? undefined : Number(text);
    const options = { limit, filters: query.filters(), auth: registryAuth(call.exchange.headers) };
    json(call, 200, await backend.search(query.text("term"), options, call.exchange.signal));
  });
}
