import type { Server } from "bun";
import type { Clock } from "../../../base/lib/clock.ts";
import type { Digest } from "../../../base/lib/ids.ts";
import { parseReference, type Reference } from "../../../base/spec/docker/reference.ts";
import type { Descriptor, Platform } from "../../../base/spec/oci/descriptor.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import { mediaTypes } from "../../../base/spec/oci/media-types.ts";
import type { RegistryConfig } from "../registry-config.ts";

/** A clock whose sleeps take no time and are written down. */
export function instantClock(): Clock & { readonly slept: number[]; skip(ms: number): void } {
  const slept: number[] = [];
  let offset = 0;
  return {
    slept,
    skip: (ms) => {
      offset += ms;
    },
    now: () => Date.now() + offset,
    monotonic: () => process.hrtime.bigint(),
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      slept.push(ms);
    },
  };
}

export function testConfig(change: Partial<RegistryConfig> = {}): RegistryConfig {
  return {
    insecureRegistries: [],
    mirrors: [],
    certificateDirectories: [],
    proxy: {},
    userAgent: "tug/test",
    ...change,
  };
}

interface Stored {
  readonly type: string;
  readonly bytes: Uint8Array;
}

type Handler = (request: Request, url: URL) => Response | undefined | Promise<Response | undefined>;

/** A registry in this process that serves what it is given, and whatever wrong answer a test puts before it. */
export class FakeRegistry implements Disposable {
  readonly #server: Server<undefined>;
  readonly blobs = new Map<string, Uint8Array>();
  readonly manifests = new Map<string, Stored>();
  /** "METHOD /path" of every request, and its headers. */
  readonly requests: { readonly line: string; readonly headers: Headers }[] = [];
  /** False: Range headers are ignored. */
  ranges = true;
  /** Bytes a second of one blob's answer; as fast as it goes when undefined. */
  rate: number | undefined;
  /** Bytes of blobs that were given to the network. */
  sent = 0;
  /** Asked first; what it answers is sent. */
  intercept: Handler = () => undefined;

  constructor() {
    this.#server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      fetch: (request) => this.#answer(request),
    });
  }

  get host(): string {
    return `127.0.0.1:${this.#server.port}`;
  }
  get origin(): string {
    return `http://${this.host}`;
  }
  ref(name: string): Reference {
    return parseReference(`${this.host}/${name}`);
  }
  lines(pattern: RegExp): readonly string[] {
    return this.requests.map((each) => each.line).filter((line) => pattern.test(line));
  }

  addBlob(bytes: Uint8Array | string, mediaType: string = mediaTypes.ociLayer): Descriptor {
    const data = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    const digest = digestOf(data);
    this.blobs.set(digest, data);
    return { mediaType, digest, size: data.byteLength };
  }

  addDocument(name: string, tag: string | undefined, type: string, value: unknown): Descriptor {
    const bytes = new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
    const digest = digestOf(bytes);
    for (const key of [digest, ...(tag === undefined ? [] : [tag])]) {
      this.manifests.set(`${name}:${key}`, { type, bytes });
    }
    return { mediaType: type, digest, size: bytes.byteLength };
  }

  /** An image of uncompressed "layers". */
  addImage(name: string, tag: string | undefined, layers: readonly (Uint8Array | string)[], platform?: Platform) {
    const descriptors = layers.map((each) => this.addBlob(each));
    const config = this.addBlob(
      JSON.stringify({
        os: platform?.os ?? "linux",
        architecture: platform?.architecture ?? "amd64",
        rootfs: { type: "layers", diff_ids: descriptors.map((each) => each.digest) },
      }),
      mediaTypes.ociConfig,
    );
    const document = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: descriptors };
    const manifest = this.addDocument(name, tag, mediaTypes.ociManifest, document);
    return { manifest: platform ? { ...manifest, platform } : manifest, config, layers: descriptors, document };
  }

  [Symbol.dispose](): void {
    this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    this.requests.push({ line: `${request.method} ${url.pathname}${url.search}`, headers: request.headers });
    const special = await this.intercept(request, url);
    if (special) return special;
    if (url.pathname === "/v2/") return Response.json({});
    const match = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(url.pathname);
    const [, name = "", kind, key = ""] = match ?? [];
    if (kind === "manifests") {
      const stored = this.manifests.get(`${name}:${key}`);
      if (!stored) return failure(404, "MANIFEST_UNKNOWN", "manifest unknown");
      return new Response(stored.bytes, {
        headers: { "Content-Type": stored.type, "Docker-Content-Digest": digestOf(stored.bytes) },
      });
    }
    const blob = this.blobs.get(key);
    if (kind !== "blobs" || !blob) return failure(404, "BLOB_UNKNOWN", "blob unknown to registry");
    const range = this.ranges ? /^bytes=([0-9]+)-([0-9]*)$/.exec(request.headers.get("range") ?? "") : null;
    if (!range) return this.#send(blob, 200, {});
    const from = Number(range[1]);
    const end = range[2] ? Math.min(Number(range[2]) + 1, blob.byteLength) : blob.byteLength;
    const headers = { "Content-Range": `bytes ${from}-${end - 1}/${blob.byteLength}` };
    return this.#send(blob.subarray(from, end), 206, headers);
  }

  /**
   * With a rate each answer comes at its own pace, as from a server that limits what one connection gets. What it did not bring while
   * this process stood still is not made up for: that would be a fast connection.
   */
  #send(bytes: Uint8Array, status: number, headers: Record<string, string>): Response {
    const rate = this.rate;
    if (rate === undefined) {
      this.sent += bytes.byteLength;
      return new Response(bytes, { status, headers });
    }
    let at = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        if (at >= bytes.byteLength) return controller.close();
        const chunk = bytes.slice(at, at + 16 * 1024);
        at += chunk.byteLength;
        await Bun.sleep((chunk.byteLength / rate) * 1000);
        this.sent += chunk.byteLength;
        controller.enqueue(chunk);
      },
    });
    return new Response(body, { status, headers: { ...headers, "Content-Length": String(bytes.byteLength) } });
  }
}

export function failure(status: number, code: string, message: string): Response {
  return Response.json({ errors: [{ code, message }] }, { status });
}

/** Bytes that do not compress and are the same in every run. */
export function noise(size: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(size);
  let state = seed;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

export type { Digest };
