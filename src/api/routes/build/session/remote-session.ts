import { isCode, notFound, TugError } from "../../../../base/lib/errors.ts";
import { drained, type RpcCall, type RpcClient } from "../../../../base/rpc/client.ts";
import type { Metadata } from "../../../../base/rpc/metadata.ts";
import { receivingCall } from "../../../../base/rpc/tree/packet.ts";
import { receiveTree } from "../../../../base/rpc/tree/receive.ts";
import type {
  BuildSession,
  ContextFiles,
  DuplexBytes,
  LentBlob,
  ReceiveRequest,
  SessionExports,
} from "../../../../base/spec/builder/session.ts";
import {
  Auth,
  Content,
  FileSend,
  FileSync,
  fileKeys,
  Secrets,
  Ssh,
  Upload,
} from "../../../../base/spec/buildkit/methods.ts";
import type { BytesMessage } from "../../../../base/spec/buildkit/session.gen.ts";
import type { SessionHello } from "./hello.ts";
import { readBlob, writeBlob } from "./remote-content.ts";
import { RemoteExports } from "./remote-exports.ts";

/** What a client lends, called over the connection that it opened. */
export class RemoteSession implements BuildSession {
  readonly id: string;
  readonly sharedKey: string;
  readonly files: ContextFiles | undefined;
  readonly exports: SessionExports | undefined;
  readonly #rpc: RpcClient;
  readonly #methods: ReadonlySet<string>;
  readonly #gone = new AbortController();

  constructor(rpc: RpcClient, hello: SessionHello) {
    this.#rpc = rpc;
    this.id = hello.id;
    this.sharedKey = hello.sharedKey;
    this.#methods = new Set(hello.methods.map((method) => method.toLowerCase()));
    this.files = this.#has(FileSync.diffCopy)
      ? { receive: (request) => receiveFiles(rpc, request) }
      : undefined;
    this.exports = this.#has(FileSend.bytes) ? new RemoteExports(rpc, this.signal) : undefined;
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /** The connection has ended. */
  end(): void {
    this.#gone.abort(new TugError("cancelled", "the client's session has ended"));
  }

  async secret(id: string): Promise<Uint8Array | undefined> {
    if (!this.#may(Secrets.getSecret)) return undefined;
    const options = { signal: this.signal };
    return await unlessMissing(
      async () => (await this.#rpc.call(Secrets.getSecret, { id, annotations: {} }, options)).data,
    );
  }

  async hasSsh(id: string): Promise<boolean> {
    if (!this.#may(Ssh.checkAgent)) return false;
    try {
      await this.#rpc.call(Ssh.checkAgent, { id: id || defaultAgent }, { signal: this.signal });
      return true;
    } catch (error) {
      // Clients say in an error of no code that they have no such agent; a connection that is gone has none either.
      if (isCode(error, "cancelled")) throw error;
      return false;
    }
  }

  async ssh(id: string): Promise<DuplexBytes> {
    if (!this.#may(Ssh.forwardAgent))
      throw notFound(`no SSH agent ${JSON.stringify(id || defaultAgent)} is forwarded`);
    const metadata = { "buildkit.ssh.id": [id || defaultAgent] };
    return duplexOf(this.#rpc.open(Ssh.forwardAgent, { metadata, signal: this.signal }));
  }

  async credentials(
    host: string,
  ): Promise<{ readonly username: string; readonly secret: string } | undefined> {
    if (!this.#may(Auth.credentials)) return undefined;
    const found = await unlessMissing(() =>
      this.#rpc.call(Auth.credentials, { host }, { signal: this.signal }),
    );
    if (!found || (found.username === "" && found.secret === "")) return undefined;
    return { username: found.username, secret: found.secret };
  }

  async upload(url: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    if (!this.#has(Upload.pull)) throw notFound(`the client uploads nothing: ${url}`);
    const { pathname, host } = new URL(url);
    const metadata = { urlpath: [pathname], urlhost: [host] };
    const call = this.#rpc.open(Upload.pull, { metadata, signal: AbortSignal.any([signal, this.signal]) });
    // The client answers by sending until it has sent everything; ending our direction first would be taken for giving up.
    return readableOf(call);
  }

  async blob(
    store: string,
    digest: string,
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array> | undefined> {
    if (!this.#has(Content.read)) return undefined;
    return readBlob(this.#rpc, store, digest, AbortSignal.any([signal, this.signal]));
  }

  async putBlob(store: string, blob: LentBlob, signal: AbortSignal): Promise<boolean> {
    if (!this.#has(Content.write)) return false;
    await writeBlob(this.#rpc, store, blob, AbortSignal.any([signal, this.signal]));
    return true;
  }

  /** Some clients (dockerode) do not say what they serve; BuildKit asks them all the same, and so they answer. */
  #may(method: { readonly path: string }): boolean {
    return this.#methods.size === 0 || this.#has(method);
  }

  #has(method: { readonly path: string }): boolean {
    return this.#methods.has(method.path.toLowerCase());
  }
}

const defaultAgent = "default";

/** undefined where the client has no such thing, or does not serve the question. */
async function unlessMissing<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (isCode(error, "not-found") || isCode(error, "not-implemented")) return undefined;
    throw error;
  }
}

async function receiveFiles(rpc: RpcClient, request: ReceiveRequest): Promise<void> {
  const metadata = encoded({
    [fileKeys.directory]: [request.name],
    [fileKeys.include]: request.include,
    [fileKeys.exclude]: request.exclude,
    [fileKeys.follow]: request.follow,
    [fileKeys.overrideExcludes]: ["true"],
  });
  const call = rpc.open(receivingCall(FileSync.diffCopy), { metadata, signal: request.signal });
  const whole = Promise.withResolvers<void>();
  const transfer = async () => {
    try {
      await receiveTree(call, request.into, request.onProgress, () => whole.resolve());
      call.end();
      await drained(call);
    } finally {
      call.cancel();
    }
  };
  // The build goes on when everything is here; the farewell takes one more turn of the client's, and changes nothing.
  const over = transfer();
  over.catch(() => undefined); // told below, unless everything is here
  await Promise.race([whole.promise, over]);
}

/** Header fields are ASCII: other values go as Go's url.QueryEscape writes them, and a field says so (session/filesync of BuildKit). */
function encoded(fields: Readonly<Record<string, readonly string[]>>): Metadata {
  const out: Record<string, readonly string[]> = {};
  for (const [name, values] of Object.entries(fields)) {
    if (values.length === 0) continue;
    const plain = values.every((value) => /^[\x20-\x7e]*$/.test(value));
    out[name] = plain ? values : values.map((value) => encodeURIComponent(value).replaceAll("%20", "+"));
    if (!plain) out[`${name}-encoded`] = ["1"];
  }
  return out;
}

type BytesCall = RpcCall<BytesMessage, BytesMessage>;

function readableOf(call: BytesCall): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const message = await call.next();
      if (message === undefined) {
        call.end();
        controller.close();
      } else if (message.data.length > 0) controller.enqueue(message.data);
      else await this.pull?.(controller);
    },
    cancel: () => call.cancel(),
  });
}

function duplexOf(call: BytesCall): DuplexBytes {
  return {
    readable: readableOf(call),
    write: (data) => call.send({ data }),
    end: async () => call.end(),
    [Symbol.asyncDispose]: async () => call.cancel(),
  };
}
