import type { Clock } from "../../../base/lib/clock.ts";
import { invalid, isCode, messageOf, TugError } from "../../../base/lib/errors.ts";
import { familiarName, type Reference } from "../../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import { manifestLimit } from "../../../base/spec/oci/parse.ts";
import type { ContentStore } from "../../content/content.ts";
import type { Credentials } from "../auth/credentials.ts";
import type { PushOptions, RemoteOptions } from "../distribution.ts";
import { withHint } from "../hint.ts";
import type { Connections } from "../http/connections.ts";
import { RegistryError } from "../http/registry-error.ts";
import { retrying, whenAsked } from "../http/retry.ts";
import { repositoryScope, type Session } from "../http/session.ts";
import { cancelled, type Exchange } from "../http/transport.ts";
import { Upload } from "./upload.ts";

interface Deps {
  readonly connections: Connections;
  readonly content: ContentStore;
  readonly clock: Clock;
}

/** Repositories a blob is offered to be mounted from; each costs a request when it fails. */
const maxMounts = 4;

/** Makes a blob exist in a repository, the cheapest way that works (distribution-spec, "Pushing Blobs"). */
export async function pushBlob(
  deps: Deps,
  ref: Reference,
  blob: Descriptor,
  credentials: Credentials,
  options: PushOptions,
): Promise<"exists" | "mounted" | "uploaded"> {
  const { signal } = options;
  // An upload in progress outlives a cut connection; the next attempt asks how far it got.
  let upload: Upload | undefined;
  try {
    return await retrying(deps, { signal, onRetry: options.onRetry, what: "upload" }, async (control) =>
      deps.connections.use(ref, credentials, { push: true, signal }, async (session) => {
        if (!upload) {
          if (await blobExists(session, blob, signal)) return "exists";
          const begun = await begin(session, ref, blob, options);
          if (begun === "mounted") return begun;
          upload = begun;
        } else if (!(await upload.resume(session, signal, control))) {
          upload = undefined;
          throw new TugError("unavailable", `blob upload of ${blob.digest} was lost by the registry`);
        }
        await upload.run(session, deps.content, options);
        return "uploaded";
      }),
    );
  } catch (error) {
    if (signal?.aborted) throw cancelled(signal);
    throw pushError(error, ref);
  }
}

/** Finds a blob in a repository or mounts it from another; an upload that a registry opens instead is given up. */
export async function offerBlob(
  deps: Deps,
  ref: Reference,
  blob: Descriptor,
  credentials: Credentials,
  options: PushOptions,
): Promise<"exists" | "mounted" | undefined> {
  const { signal } = options;
  try {
    return await deps.connections.use(ref, credentials, { push: true, signal }, async (session) => {
      if (await blobExists(session, blob, signal)) return "exists";
      if ((options.mountFrom ?? []).length === 0) return undefined;
      const begun = await begin(session, ref, blob, options);
      if (begun === "mounted") return begun;
      await begun.cancel(session, signal);
      return undefined;
    });
  } catch (error) {
    if (signal?.aborted) throw cancelled(signal);
    throw pushError(error, ref);
  }
}

/** Puts a manifest or index under the reference's tag, or its digest. */
export async function pushDocument(
  deps: Deps,
  ref: Reference,
  document: Uint8Array,
  mediaType: string,
  credentials: Credentials,
  options: RemoteOptions,
): Promise<Descriptor> {
  if (document.byteLength > manifestLimit) throw invalid(`manifest is larger than ${manifestLimit} bytes`);
  const descriptor: Descriptor = { mediaType, digest: digestOf(document), size: document.byteLength };
  const { signal } = options;
  try {
    const put = async (session: Session) => {
      using exchange = await session.send({
        method: "PUT",
        path: `/v2/${session.repository}/manifests/${ref.tag ?? descriptor.digest}`,
        headers: { "Content-Type": mediaType },
        body: () => document,
        expect: [200, 201, 202],
        signal,
      });
      const stored = exchange.response.headers.get("docker-content-digest");
      if (stored !== null && stored !== descriptor.digest) {
        throw new TugError("data-loss", `the registry stored ${stored} instead of ${descriptor.digest}`);
      }
    };
    await whenAsked(deps, signal, () => deps.connections.use(ref, credentials, { push: true, signal }, put));
  } catch (error) {
    if (signal?.aborted) throw cancelled(signal);
    throw pushError(error, ref);
  }
  return descriptor;
}

async function blobExists(
  session: Session,
  blob: Descriptor,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const path = `/v2/${session.repository}/blobs/${blob.digest}`;
  using exchange = await session.send({ method: "HEAD", path, expect: [200, 404], signal });
  const length = exchange.response.headers.get("content-length");
  return exchange.response.status === 200 && (length === null || Number(length) === blob.size);
}

/** Mounts the blob from a repository that has it, or opens an upload. */
async function begin(
  session: Session,
  ref: Reference,
  blob: Descriptor,
  options: PushOptions,
): Promise<"mounted" | Upload> {
  const path = `/v2/${session.repository}/blobs/uploads/`;
  const sources = (options.mountFrom ?? []).filter(
    (each) => each.domain === ref.domain && each.path !== ref.path,
  );
  let opened: Upload | undefined;
  for (const { path: source } of sources.slice(0, maxMounts)) {
    const query = new URLSearchParams({ mount: blob.digest, from: source });
    let exchange: Exchange;
    try {
      exchange = await session.send({
        method: "POST",
        path: `${path}?${query}`,
        scopes: [repositoryScope(source, "pull")],
        expect: [201, 202],
        signal: options.signal,
      });
    } catch (error) {
      // No right to read the source, or no such thing as mounting: the blob can still be sent.
      if (error instanceof RegistryError && error.status < 500) continue;
      throw error;
    }
    using answered = exchange;
    // A source that lacks the blob opens an upload instead; one of them is enough.
    await opened?.cancel(session, options.signal);
    if (answered.response.status === 201) return "mounted";
    opened = Upload.at(answered, session, blob);
  }
  if (opened) return opened;
  using exchange = await session.send({ method: "POST", path, expect: [202], signal: options.signal });
  return Upload.at(exchange, session, blob);
}

/** dockerd prints a push's authentication failures without the request they happened in. */
function pushError(error: unknown, ref: Reference): unknown {
  const attempted = { action: "push", domain: ref.domain, repository: familiarName(ref) } as const;
  const cause = error instanceof Error ? error.cause : undefined;
  if (isCode(error, "unauthorized") && isCode(cause, "unauthorized")) {
    return withHint(new TugError("unauthorized", messageOf(cause), { cause: error }), attempted);
  }
  return withHint(error, attempted);
}
