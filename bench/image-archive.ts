import { createHash } from "node:crypto";
import { closeSync, openSync, readdirSync, readFileSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { tarHeader, tarPadding, tarTrailer } from "../src/base/lib/tar/writer.ts";

/** Plain files of the host's own system below 1 MB, in an order that mixes sizes and kinds but not from run to run. */
function hostFiles(roots: readonly string[]): { readonly path: string; readonly size: number }[] {
  const found: { path: string; size: number }[] = [];
  const walk = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && path.length < 90) {
        const { size } = statSync(path);
        if (size < 1 << 20) found.push({ path, size });
      }
    }
  };
  for (const root of roots) walk(root);
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** A layer with `count` of the files, taken evenly, but at most `limit` bytes, below `prefix`. */
function filesLayer(files: ReturnType<typeof hostFiles>, count: number, limit: number, skip: number): Buffer {
  const parts: Uint8Array[] = [];
  const made = new Set<string>();
  const step = Math.max(1, Math.floor(files.length / count));
  let size = 0;
  for (let at = skip; at < files.length && size < limit; at += step) {
    const path = files[at]?.path ?? "";
    const names = path.split("/").slice(1, -1);
    for (let depth = 1; depth <= names.length; depth++) {
      const folder = names.slice(0, depth).join("/");
      if (made.has(folder)) continue;
      made.add(folder);
      parts.push(tarHeader({ path: folder, kind: "directory" }));
    }
    const bytes = readFileSync(path);
    parts.push(tarHeader({ path: path.slice(1), kind: "file", size: bytes.length }));
    parts.push(bytes, tarPadding(bytes.length));
    size += bytes.length;
  }
  return Buffer.concat([...parts, tarTrailer]);
}

function fileLayer(path: string, bytes: Uint8Array): Buffer {
  const header = tarHeader({ path, kind: "file", mode: 0o755, size: bytes.length });
  return Buffer.concat([header, bytes, tarPadding(bytes.length), tarTrailer]);
}

/**
 * Writes a docker-archive of about 150 MB like a distribution's image with a program on it: ten thousand small files of the
 * host's own system, a program of 50 MB, more small files, a configuration file. Returns the files' count and bytes.
 */
export function writeImageArchive(target: string, name: string): { readonly bytes: number } {
  const files = hostFiles(["/usr/share", "/usr/lib"]);
  const layers = [
    filesLayer(files, 9000, 80e6, 0),
    fileLayer("opt/program", readFileSync(process.execPath).subarray(0, 50e6)),
    filesLayer(files, 1500, 20e6, 1),
    fileLayer("etc/program.conf", Buffer.from("verbose = false\n")),
  ];
  const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      os: "linux",
      created: "2024-01-01T00:00:00Z",
      config: { Cmd: ["/opt/program"], Env: ["PATH=/usr/bin:/bin"] },
      rootfs: { type: "layers", diff_ids: layers.map((layer) => `sha256:${hash(layer)}`) },
      history: layers.map((_, index) => ({ created: "2024-01-01T00:00:00Z", created_by: `step ${index}` })),
    }),
  );
  const named = layers.map((layer, index) => ({ path: `layer${index}/layer.tar`, bytes: layer }));
  const configName = `${hash(config)}.json`;
  const manifest = [{ Config: configName, RepoTags: [name], Layers: named.map(({ path }) => path) }];
  const members = [
    ...named,
    { path: configName, bytes: config },
    { path: "manifest.json", bytes: Buffer.from(JSON.stringify(manifest)) },
  ];
  const file = openSync(target, "w");
  try {
    for (const { path, bytes } of members) {
      writeSync(file, tarHeader({ path, kind: "file", size: bytes.length }));
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      writeSync(file, tarPadding(bytes.length));
    }
    writeSync(file, tarTrailer);
  } finally {
    closeSync(file);
  }
  return { bytes: layers.reduce((sum, layer) => sum + layer.length, 0) };
}
