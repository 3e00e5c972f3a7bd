import { invalid, messageOf, notFound } from "../../../base/lib/errors.ts";
import { randomId } from "../../../base/lib/ids.ts";
import { type BuildSession, uploadPrefix } from "../../../base/spec/builder/session.ts";
import { StatusResponse } from "../../../base/spec/buildkit/control.gen.ts";
import { classicTags } from "../../build/classic-request.ts";
import type { Call } from "../../call.ts";
import type { BuildJob, Builds } from "./builds.ts";
import { noSession } from "./no-session.ts";
import type { SolveOrder } from "./parse-request.ts";
import type { Sessions } from "./sessions.ts";
import type { Uploads } from "./uploads.ts";

export interface SessionBuildDeps {
  readonly builds: Builds;
  readonly sessions: Sessions;
  readonly uploads: Uploads;
}

/** The call that brings a body for another one names it so (docker 19.03 and 20.10, for a tar on standard input). */
const uploadFor = "upload-request:";

/**
 * `POST /build?version=2`: how docker 18.09 to 20.10, which have BuildKit built in, and libraries order a build. Files come over the session, the
 * reply is JSON lines whose "moby.buildkit.trace" carries the progress messages.
 */
export async function buildBySession(call: Call, deps: SessionBuildDeps): Promise<void> {
  const buildId = call.query.optional("buildid") ?? "";
  if (buildId.startsWith(uploadFor)) {
    await deps.uploads.offer(
      buildId.slice(uploadFor.length),
      call.exchange.body.stream(),
      call.exchange.signal,
    );
    call.exchange.stream(200, { ...call.headers, "Content-Type": "application/json" });
    return;
  }
  const { signal } = call.exchange;
  const ref = buildId === "" ? randomId() : buildId;
  const { order, body } = orderOf(call, ref);
  const tags = classicTags(call.query);
  const sessionId = call.query.optional("session") ?? "";
  const session = sessionId === "" ? noSession(signal) : await deps.sessions.get(sessionId, signal);
  const lent = body === undefined ? session : withUpload(session, () => bodyOf(call, deps, ref, body));
  // Only now: a failure before this is answered with its status.
  const reply = call.exchange.stream(200, { ...call.headers, "Content-Type": "application/json" });
  const line = (value: unknown) => reply.write(`${JSON.stringify(value)}\r\n`);
  const tell = async (job: BuildJob) => {
    for await (const news of job.progress.read(signal)) {
      const trace = Buffer.from(StatusResponse.encode(news).finish()).toString("base64");
      await line({ id: "moby.buildkit.trace", aux: trace });
    }
  };
  let telling: Promise<void> | undefined;
  try {
    let imageId: string | undefined;
    await deps.builds.run(order, lent, signal, async (job, until) => {
      telling = tell(job);
      telling.catch(() => undefined); // awaited below
      const outcome = await deps.builds.build(job, order, lent, until);
      imageId = outcome.imageId;
      return outcome.response;
    });
    await telling;
    if (imageId !== undefined) await line({ id: "moby.image.id", aux: { ID: imageId } });
    for (const tag of tags) await line({ stream: `Successfully tagged ${tag}\n` });
  } catch (error) {
    if (signal.aborted) throw error;
    await telling?.catch(() => undefined); // the failure itself is told next
    const message = messageOf(error);
    await line({ errorDetail: { message }, error: message });
  }
}

/** Where the context comes with the request: in it, or in a call of its own. */
type Body = "here" | "elsewhere";

function orderOf(call: Call, ref: string): { readonly order: SolveOrder; readonly body: Body | undefined } {
  const { query } = call;
  const remote = query.optional("remote") ?? "";
  const attrs: Record<string, string> = { "image-resolve-mode": query.bool("pull") ? "pull" : "default" };
  const body: Body | undefined =
    remote === "" ? "here" : remote === "upload-request" ? "elsewhere" : undefined;
  if (body !== undefined) attrs["context"] = `${uploadPrefix}${ref}`;
  else if (remote !== "client-session") attrs["context"] = remote;
  const copy = (parameter: string, attribute = parameter) => {
    const value = query.optional(parameter) ?? "";
    if (value !== "") attrs[attribute] = value;
  };
  copy("target");
  copy("dockerfile", "filename");
  copy("platform");
  if (query.bool("nocache")) attrs["no-cache"] = "";
  for (const [name, value] of stringMap(query.optional("buildargs"), "buildargs"))
    attrs[`build-arg:${name}`] = value;
  for (const [name, value] of stringMap(query.optional("labels"), "labels")) attrs[`label:${name}`] = value;
  const network = query.optional("networkmode") ?? "";
  if (network === "host" || network === "none") attrs["force-network-mode"] = network;
  else if (network !== "" && network !== "default")
    throw invalid(`network mode ${JSON.stringify(network)} not supported by buildkit`);
  const hosts = query.all("extrahosts").map((text) => text.replace(/[:=]/, "="));
  if (hosts.length > 0) attrs["add-hosts"] = hosts.map(csvField).join(",");
  const shm = query.optional("shmsize") ?? "";
  if (shm !== "" && shm !== "0") attrs["shm-size"] = shm;
  const limits = ulimits(query.optional("ulimits"));
  if (limits !== "") attrs["ulimit"] = limits;
  const order: SolveOrder = {
    ref,
    frontend: "dockerfile.v0",
    attrs,
    exporters: exporters(call),
    cacheImports: jsonArray(query.optional("cachefrom"), "cachefrom")
      .filter((image) => typeof image === "string")
      .map((image) => ({ type: "registry", attrs: { ref: image } })),
    cacheExports: [],
    entitlements: network === "host" ? ["network.host"] : [],
  };
  return { order, body };
}

const csvField = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

function exporters(call: Call): SolveOrder["exporters"] {
  const asked = jsonArray(call.query.optional("outputs"), "outputs");
  if (asked.length > 1) throw invalid("multiple outputs not supported");
  const [only] = asked;
  const fields = typeof only === "object" && only !== null ? new Map(Object.entries(only)) : undefined;
  const type = fields ? String(fields.get("Type") ?? fields.get("type") ?? "") : "moby";
  const given: unknown = fields?.get("Attrs") ?? fields?.get("attrs") ?? {};
  const attrs: Record<string, string> = {};
  for (const [name, value] of Object.entries(given ?? {})) attrs[name] = String(value);
  const tags = call.query.all("t").filter((tag) => tag !== "");
  if ((type === "moby" || type === "image") && tags.length > 0) attrs["name"] = tags.join(",");
  return [{ type, attrs }];
}

function ulimits(text: string | undefined): string {
  return jsonArray(text, "ulimits")
    .map((entry) => {
      const fields = new Map(Object.entries(typeof entry === "object" && entry !== null ? entry : {}));
      return `${fields.get("Name")}=${fields.get("Soft")}:${fields.get("Hard")}`;
    })
    .join(",");
}

function jsonArray(text: string | undefined, name: string): readonly unknown[] {
  if (text === undefined || text === "") return [];
  const value = json(text, name);
  if (value === null) return [];
  if (!Array.isArray(value)) throw invalid(`invalid ${name}: not a list`);
  return value;
}

/** Entries whose value is null are left out: such a build argument has no value. */
function stringMap(text: string | undefined, name: string): readonly (readonly [string, string])[] {
  if (text === undefined || text === "") return [];
  const value = json(text, name);
  if (value === null) return [];
  if (typeof value !== "object") throw invalid(`invalid ${name}: not an object`);
  return Object.entries(value)
    .filter(([, entry]) => entry !== null)
    .map(([key, entry]) => [key, String(entry)] as const);
}

function json(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(`error reading ${name}: ${messageOf(cause)}`, cause);
  }
}

async function bodyOf(
  call: Call,
  { uploads }: SessionBuildDeps,
  ref: string,
  body: Body,
): Promise<ReadableStream<Uint8Array>> {
  return body === "here" ? call.exchange.body.stream() : await uploads.take(ref, call.exchange.signal);
}

/** The session with the request's body as what the client uploads, once. */
function withUpload(session: BuildSession, open: () => Promise<ReadableStream<Uint8Array>>): BuildSession {
  let taken = false;
  return {
    id: session.id,
    sharedKey: session.sharedKey,
    signal: session.signal,
    files: session.files,
    exports: session.exports,
    secret: (id) => session.secret(id),
    hasSsh: (id) => session.hasSsh(id),
    ssh: (id) => session.ssh(id),
    credentials: (host) => session.credentials(host),
    blob: async (...asked) => await session.blob?.(...asked),
    putBlob: async (...asked) => (await session.putBlob?.(...asked)) ?? false,
    upload: async (url) => {
      if (taken) throw notFound(`the context was read already: ${url}`);
      taken = true;
      return await open();
    },
  };
}
