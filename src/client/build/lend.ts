import { notFound, TugError } from "../../base/lib/errors.ts";
import { first, type Metadata } from "../../base/rpc/metadata.ts";
import { bidi, type Service, unary } from "../../base/rpc/server.ts";
import { pieceBytes } from "../../base/rpc/stream.ts";
import { directoryTree } from "../../base/rpc/tree/directory.ts";
import { sendingMethod } from "../../base/rpc/tree/packet.ts";
import { sendTree } from "../../base/rpc/tree/send.ts";
import { Auth, FileSync, fileKeys, Secrets, Upload } from "../../base/spec/buildkit/methods.ts";

/** A directory that a build may read. */
export interface LentDirectory {
  readonly path: string;
  /** Patterns of its .dockerignore, for builders that do not send their own. */
  readonly exclude?: readonly string[];
  /** "root" (as Docker has it): everything is owned by 0:0. */
  readonly owner?: "root" | "keep";
}

export interface LendFilesOptions {
  /** By the name that the build knows it by: "context", "dockerfile", or a named context. */
  readonly directories: Readonly<Record<string, LentDirectory>>;
  /** Bytes of content, as they are sent. */
  readonly onProgress?: (directory: string, bytes: number) => void;
}

/** Lets the build read directories. Only what it asks for is sent. */
export function lendFiles(options: LendFilesOptions): Service {
  return bidi(sendingMethod(FileSync.diffCopy), async (stream, { metadata }) => {
    const fields = decoded(metadata);
    const name = first(fields, fileKeys.directory) ?? "";
    const directory = Object.hasOwn(options.directories, name) ? options.directories[name] : undefined;
    if (!directory) throw notFound(`no access allowed to dir ${JSON.stringify(name)}`);
    const overridden = first(fields, fileKeys.overrideExcludes) === "true";
    const tree = directoryTree(directory.path, {
      include: fields[fileKeys.include] ?? [],
      exclude: overridden || !directory.exclude ? (fields[fileKeys.exclude] ?? []) : directory.exclude,
      follow: fields[fileKeys.follow] ?? [],
      owner: directory.owner ?? "root",
    });
    await sendTree(stream, tree, (bytes) => options.onProgress?.(name, bytes));
  });
}

/** Values that are not ASCII come as Go's url.QueryEscape writes them, and a field "<name>-encoded" says so. */
function decoded(metadata: Metadata): Metadata {
  const out: Record<string, readonly string[]> = {};
  for (const [name, values] of Object.entries(metadata)) {
    const encoded = /^(?:1|t|true)$/i.test(metadata[`${name}-encoded`]?.[0] ?? "");
    out[name] = encoded ? values.map((value) => decodeURIComponent(value.replaceAll("+", " "))) : values;
  }
  return out;
}

/** Secrets by id; `read` gives undefined for one that there is none of. At most 500 kB, as BuildKit has it. */
export function lendSecrets(read: (id: string) => Promise<Uint8Array | undefined>): Service {
  return unary(Secrets.getSecret, async ({ id }) => {
    const data = await read(id);
    if (data === undefined) throw notFound(`secret ${id}: not found`);
    if (data.length > maxSecret)
      throw new TugError("invalid-argument", `secret ${id} is larger than ${maxSecret} bytes`);
    return { data };
  });
}

const maxSecret = 500 * 1024;

/** Credentials of a registry host ("registry-1.docker.io" is Docker Hub); undefined: anonymous. */
export interface LentCredentials {
  readonly username: string;
  /** Password, or identity token when there is no user name. */
  readonly secret: string;
}

export function lendCredentials(
  find: (host: string, signal: AbortSignal) => Promise<LentCredentials | undefined>,
): Service {
  return unary(
    Auth.credentials,
    async ({ host }, { signal }) => (await find(host, signal)) ?? { username: "", secret: "" },
  );
}

/** Files that the build pulls once: the tar or Dockerfile on standard input. The key is what follows `uploadPrefix`. */
export function lendUploads(files: ReadonlyMap<string, AsyncIterable<Uint8Array>>): Service {
  const left = new Map(files);
  // The builder sends no request: what it wants stands in the metadata.
  return bidi(Upload.pull, async (stream, { metadata }) => {
    await pull(left, metadata, (message) => stream.send(message));
  });
}

async function pull(
  left: Map<string, AsyncIterable<Uint8Array>>,
  metadata: Metadata,
  send: (message: { data: Uint8Array }) => Promise<void>,
): Promise<void> {
  const key = (first(metadata, "urlpath") ?? "").split("/").at(-1) ?? "";
  const body = left.get(key);
  if (!body) throw notFound(`no http response from session for ${key}`);
  left.delete(key);
  for await (const bytes of body) {
    for (let at = 0; at < bytes.length; at += pieceBytes)
      await send({ data: bytes.subarray(at, at + pieceBytes) });
  }
}
