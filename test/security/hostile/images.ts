import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { file, tarEnd } from "../../harness/raw-tar.ts";
import type { Layer } from "./layers.ts";

export const sha256 = (bytes: Uint8Array | string): string =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

export const types = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
} as const;

/** An image as its parts: what a registry serves and an archive holds. */
export interface Parts {
  readonly config: Buffer;
  /** As stored, bottom first. */
  readonly layers: readonly Buffer[];
}

export function tarOf(layer: Layer): Buffer {
  return Buffer.concat([...layer.tar, ...(layer.open ? [] : [tarEnd])]);
}

/** An image of these plain layers, each as it is stored. */
export function imageOf(
  layers: readonly { readonly tar: Uint8Array; readonly blob: Buffer }[],
  run: object = {},
): Parts {
  const config = {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config: run,
    rootfs: { type: "layers", diff_ids: layers.map(({ tar }) => sha256(tar)) },
  };
  return { config: Buffer.from(JSON.stringify(config)), layers: layers.map(({ blob }) => blob) };
}

/** The hostile layer upon the base layer. */
export function imageWith(base: Buffer, layer: Layer): Parts {
  const tar = tarOf(layer);
  const blob = layer.packed ? layer.packed(tar) : gzipSync(tar, { level: 1 });
  return imageOf([
    { tar: base, blob: base },
    { tar, blob },
  ]);
}

/** A docker-archive of one image. */
export function dockerArchive({ config, layers }: Parts, name: string): Buffer {
  const manifest = [{ Config: "c.json", RepoTags: [name], Layers: layers.map((_, i) => `l${i}.tar`) }];
  return Buffer.concat([
    file("c.json", config.toString()),
    ...layers.flatMap((blob, i) => [bytes(`l${i}.tar`, blob)]),
    file("manifest.json", JSON.stringify(manifest)),
    tarEnd,
  ]);
}

export function bytes(name: string, data: Uint8Array): Buffer {
  return file(name, "", { data });
}

/** A registry that gives whatever it was told to. */
export class FakeRegistry implements Disposable {
  readonly #server: Bun.Server<undefined>;
  readonly #blobs = new Map<string, Buffer>();
  readonly #manifests = new Map<
    string,
    { readonly body: Buffer; readonly headers: Record<string, string> }
  >();
  /** What was asked for: "GET /v2/...". */
  readonly asked: string[] = [];

  constructor() {
    this.#server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request) => this.#answer(request) });
  }

  get address(): string {
    return `127.0.0.1:${this.#server.port}`;
  }

  blob(content: Uint8Array | string): { readonly digest: string; readonly size: number } {
    const body = Buffer.from(content);
    const digest = sha256(body);
    this.#blobs.set(digest, body);
    return { digest, size: body.length };
  }

  /** Serves `body` as `name` (a tag or digest of any repository). */
  manifest(name: string, body: Uint8Array | string, headers: Record<string, string>): string {
    this.#manifests.set(name, { body: Buffer.from(body), headers });
    return sha256(Buffer.from(body));
  }

  /** Serves an image by a tag. */
  image(tag: string, { config, layers }: Parts): void {
    const manifest = {
      schemaVersion: 2,
      mediaType: types.manifest,
      config: { mediaType: types.config, ...this.blob(config) },
      layers: layers.map((layer) => ({ mediaType: types.layer, ...this.blob(layer) })),
    };
    const body = JSON.stringify(manifest);
    const headers = { "content-type": types.manifest, "docker-content-digest": sha256(body) };
    this.manifest(sha256(body), body, headers);
    this.manifest(tag, body, headers);
  }

  #answer(request: Request): Response {
    const { pathname } = new URL(request.url);
    this.asked.push(`${request.method} ${pathname}`);
    const [, kind, name] = /\/(manifests|blobs)\/([^/]+)$/.exec(pathname) ?? [];
    if (kind === "blobs") {
      const blob = this.#blobs.get(name ?? "");
      return blob ? new Response(new Uint8Array(blob)) : new Response("", { status: 404 });
    }
    const found = kind === "manifests" ? this.#manifests.get(decodeURIComponent(name ?? "")) : undefined;
    if (found) return new Response(new Uint8Array(found.body), { headers: found.headers });
    return pathname === "/v2/" ? new Response("{}") : new Response("", { status: 404 });
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }
}
