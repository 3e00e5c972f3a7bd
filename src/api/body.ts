import type { Exchange } from "../base/http/exchange.ts";
import { invalid } from "../base/lib/errors.ts";
import { jsonSyntaxError } from "./decode/json-error.ts";

/** No request of the API is near this size; what is larger is an attack or a mistake. */
const maxJsonBytes = 16 * 1024 * 1024;

/** The JSON body, or undefined when there is none. Checks and error texts are those of dockerd's httputils.ReadJSON. */
export async function readJson(exchange: Exchange): Promise<unknown> {
  checkContentType(exchange);
  if (exchange.body.length === 0) return undefined;
  const bytes = await exchange.body.bytes(maxJsonBytes);
  const text = new TextDecoder().decode(bytes);
  if (text.trim() === "") throw invalid("invalid JSON: got EOF while reading request body");
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid(jsonSyntaxError(text), error);
  }
}

function checkContentType(exchange: Exchange): void {
  const type = exchange.headers.get("content-type") ?? "";
  if (type === "" && exchange.body.length === 0) return;
  if (type === "") throw invalid("malformed Content-Type header (): mime: no media type");
  const media = (type.split(";")[0] ?? "").trim().toLowerCase();
  if (media === "application/json") return;
  if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+(?:\/[!#$%&'*+\-.^_`|~0-9a-z]+)?$/.test(media)) {
    throw invalid(`malformed Content-Type header (${type}): mime: expected token after slash`);
  }
  throw invalid(`unsupported Content-Type header (${type}): must be 'application/json'`);
}
