import { invalid, isCode, messageOf, TugError } from "../../../base/lib/errors.ts";
import type { ProgressMessage } from "../../../base/spec/docker/progress.ts";
import type { Call } from "../../call.ts";
import { streamProgress } from "../../progress.ts";
import { registryAuth } from "../../registry-auth.ts";
import { post, type Route } from "../../route.ts";
import type { ImageBackend } from "./backend.ts";

/** POST /images/create: `fromImage` pulls, `fromSrc` imports (from the body with "-", from a URL otherwise). */
export function createRoute(backend: ImageBackend): Route {
  return post("/images/create", async (call) => {
    const platform = call.version >= 32 ? call.query.optional("platform") : undefined;
    const messages =
      call.query.text("fromImage") === ""
        ? importImage(backend, call, platform)
        : pull(backend, call, platform);
    await streamProgress(call, messages);
  });
}

function pull(
  backend: ImageBackend,
  call: Call,
  platform: string | undefined,
): AsyncIterable<ProgressMessage> {
  const { query } = call;
  // A trailing colon is how `pull -a` of old asked for all tags.
  const image = query.text("fromImage").replace(/:$/, "");
  const tag = query.text("tag");
  const reference =
    tag === "" ? image : /^[a-z0-9]+:[0-9a-f]{32,}$/.test(tag) ? `${image}@${tag}` : `${image}:${tag}`;
  const named = tag !== "" || /[:@]/.test(image.slice(image.lastIndexOf("/") + 1));
  const explain = query.bool("explain");
  const options = { platform, auth: registryAuth(call.exchange.headers), allTags: !named, explain };
  return refusedAsFailed(backend.pull(reference, options, call.exchange.signal));
}

/**
 * A registry's refusal is a failure of the pull, not of this request: a 401 would make docker's command line ask its user to
 * log in and wait for the answer. dockerd says 500.
 */
async function* refusedAsFailed(messages: AsyncIterable<ProgressMessage>): AsyncIterable<ProgressMessage> {
  try {
    yield* messages;
  } catch (error) {
    if (!isCode(error, "unauthorized")) throw error;
    throw new TugError("internal", messageOf(error), { cause: error });
  }
}

async function* importImage(
  backend: ImageBackend,
  call: Call,
  platform: string | undefined,
): AsyncIterable<ProgressMessage> {
  const { query, exchange } = call;
  const from = query.text("fromSrc");
  const options = {
    repo: query.text("repo"),
    tag: query.text("tag"),
    message: query.text("message") || `Imported from ${from}`,
    changes: query.all("changes"),
    platform,
  };
  if (from === "-") {
    yield* backend.import(exchange.body.stream(), options, exchange.signal);
    return;
  }
  const url = from.includes("://") ? from : `http://${from}`;
  if (from === "" || !URL.canParse(url)) throw invalid(`parse ${JSON.stringify(url)}: invalid URL`);
  const source = await download(url, exchange.signal);
  yield { status: `Downloading from ${url}` };
  yield* backend.import(source, options, exchange.signal);
}

async function download(url: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  let response: Response;
  try {
    response = await fetch(url, { signal });
  } catch (error) {
    const { host, port, protocol } = new URL(url);
    const address = port === "" ? `${host}:${protocol === "https:" ? 443 : 80}` : host;
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const reason = /refused/i.test(code)
      ? `dial tcp ${address}: connect: connection refused`
      : messageOf(error);
    throw new TugError("internal", `Get ${JSON.stringify(url)}: ${reason}`, { cause: error });
  }
  if (!response.ok || !response.body) {
    throw new TugError(
      response.status === 404 ? "not-found" : "internal",
      `failed to GET ${url} with status ${response.status} ${response.statusText}`,
    );
  }
  return response.body;
}
