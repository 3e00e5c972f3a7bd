import { writeCsv } from "../../../../base/lib/csv.ts";
import { invalid, messageOf, notFound } from "../../../../base/lib/errors.ts";
import { randomId } from "../../../../base/lib/ids.ts";
import { type BuildSession, uploadPrefix } from "../../../../base/spec/builder/session.ts";
import { StatusResponse } from "../../../../base/spec/buildkit/control.gen.ts";
import { type BuildQuery, readBuildQuery } from "../../../build/build-query.ts";
import type { Call } from "../../../call.ts";
import type { BuildJob, Builds } from "../builds.ts";
import { parseOrder, type SolveOrder } from "../parse-request.ts";
import { noSession } from "./no-session.ts";
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
  const asked = readBuildQuery(call.query);
  const { order, body } = orderOf(asked, ref);
  parseOrder(order);
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
  let quiet = () => Promise.resolve();
  try {
    let imageId: string | undefined;
    await deps.builds.run(order, lent, signal, async (job, until) => {
      // What a quiet build did not say, it says when it fails.
      if (asked.quiet) quiet = () => tell(job);
      else telling = tell(job);
      telling?.catch(() => undefined); // awaited below
      const outcome = await deps.builds.build(job, order, lent, until);
      imageId = outcome.imageId;
      return outcome.response;
    });
    await telling;
    if (asked.quiet) return await line({ stream: `${imageId ?? ""}\n` });
    if (imageId !== undefined) await line({ id: "moby.image.id", aux: { ID: imageId } });
    for (const tag of asked.tags) await line({ stream: `Successfully tagged ${tag}\n` });
  } catch (error) {
    if (signal.aborted) throw error;
    await (telling ?? quiet()).catch(() => undefined); // the failure itself is told next
    const message = messageOf(error);
    await line({ errorDetail: { message }, error: message });
  }
}

/** Where the context comes with the request: in it, or in a call of its own. */
type Body = "here" | "elsewhere";

/** The same order as BuildKit's frontend takes it, in its attributes. */
function orderOf(
  asked: BuildQuery,
  ref: string,
): { readonly order: SolveOrder; readonly body: Body | undefined } {
  const { remote, networkMode, outputs, tags } = asked;
  const attrs: Record<string, string> = { "image-resolve-mode": asked.pull ? "pull" : "default" };
  const set = (attribute: string, value: string | number) => {
    if (value !== "" && value !== 0) attrs[attribute] = String(value);
  };
  const body: Body | undefined =
    remote === "" ? "here" : remote === "upload-request" ? "elsewhere" : undefined;
  if (body !== undefined) attrs["context"] = `${uploadPrefix}${ref}`;
  else if (remote !== "client-session") attrs["context"] = remote;
  set("target", asked.target);
  set("filename", asked.dockerfile);
  set("platform", asked.platform);
  if (asked.noCache) attrs["no-cache"] = "";
  for (const [name, value] of Object.entries(asked.buildArgs)) attrs[`build-arg:${name}`] = value;
  for (const [name, value] of Object.entries(asked.labels)) attrs[`label:${name}`] = value;
  if (networkMode === "host" || networkMode === "none") attrs["force-network-mode"] = networkMode;
  else if (networkMode !== "" && networkMode !== "default")
    throw invalid(`network mode ${JSON.stringify(networkMode)} not supported by buildkit`);
  set("add-hosts", writeCsv(asked.hosts.map(({ host, address }) => `${host}=${address}`)));
  set("shm-size", asked.shmSize);
  set("ulimit", asked.ulimits.map(({ name, soft, hard }) => `${name}=${soft}:${hard}`).join(","));
  set("cgroup-parent", asked.cgroupParent);
  for (const [name, value] of Object.entries(asked.resources)) set(name.toLowerCase(), value);
  if (asked.squash) attrs["squash"] = "true";
  if (outputs.length > 1) throw invalid("multiple outputs not supported");
  const [output = { type: "moby", attrs: {} }] = outputs;
  const named = (output.type === "moby" || output.type === "image") && tags.length > 0;
  const order: SolveOrder = {
    ref,
    frontend: "dockerfile.v0",
    attrs,
    exporters: [{ ...output, attrs: { ...output.attrs, ...(named && { name: tags.join(",") }) } }],
    cacheImports: asked.cacheFrom.map((image) => ({ type: "registry", attrs: { ref: image } })),
    cacheExports: [],
    entitlements: networkMode === "host" ? ["network.host"] : [],
  };
  return { order, body };
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
