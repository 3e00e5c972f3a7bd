import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

/** Writes an OCI image layout (image-spec, image-layout.md) with one gzip layer, without any code of Tug's. */
export async function writeOciLayout(
  folder: string,
  tag: string,
  layerTar: string,
  config: Record<string, unknown>,
): Promise<void> {
  const blobs = join(folder, "blobs/sha256");
  mkdirSync(blobs, { recursive: true });
  const put = (content: string) => {
    const hex = createHash("sha256").update(content).digest("hex");
    writeFileSync(join(blobs, hex), content);
    return { digest: `sha256:${hex}`, size: Buffer.byteLength(content) };
  };
  const plain = createHash("sha256");
  const packed = createHash("sha256");
  const partial = join(blobs, "partial");
  const file = createWriteStream(partial);
  const gzip = createGzip({ level: 1 });
  const source = Readable.from(
    (async function* () {
      for await (const chunk of createReadStream(layerTar, { highWaterMark: 1 << 20 })) {
        plain.update(chunk);
        yield chunk;
      }
    })(),
  );
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      packed.update(chunk);
      file.write(chunk, done);
    },
    final: (done) => void file.end(done),
  });
  await pipeline(source, gzip, sink);
  const layerHex = packed.digest("hex");
  renameSync(partial, join(blobs, layerHex));
  const diffId = `sha256:${plain.digest("hex")}`;
  const imageConfig = put(
    JSON.stringify({
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      os: "linux",
      config,
      rootfs: { type: "layers", diff_ids: [diffId] },
      history: [{ created_by: "test" }],
    }),
  );
  const manifest = put(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: { mediaType: "application/vnd.oci.image.config.v1+json", ...imageConfig },
      layers: [
        {
          mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
          digest: `sha256:${layerHex}`,
          size: statSync(join(blobs, layerHex)).size,
        },
      ],
    }),
  );
  writeFileSync(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  writeFileSync(
    join(folder, "index.json"),
    JSON.stringify({
      schemaVersion: 2,
      manifests: [
        {
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          ...manifest,
          annotations: { "org.opencontainers.image.ref.name": tag },
        },
      ],
    }),
  );
}
