import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { invalid, messageOf, notFound } from "../../base/lib/errors.ts";
import { parseReference, type Reference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";

/** A manifest as Docker's client keeps it for a list that is being made, and prints it with --verbose. */
export interface StoredManifest {
  /** "docker.io/library/busybox:latest" */
  readonly Ref: string;
  readonly Descriptor: Descriptor;
  /** The document's bytes in base64. */
  readonly Raw: string;
  readonly SchemaV2Manifest?: unknown;
  readonly OCIManifest?: unknown;
}

/** A name with its domain and a tag or digest, which is what lists and manifests are kept by. */
export function fullReference(text: string): { readonly name: string; readonly reference: Reference } {
  const reference = withDefaultTag(parseReference(text));
  const { domain, path, tag, digest } = reference;
  const name = `${domain}/${path}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
  return { name, reference };
}

/** Puts together what is stored of a manifest document. */
export function storedManifest(name: string, descriptor: Descriptor, document: string): StoredManifest {
  const { mediaType, digest, size, platform } = descriptor;
  const known = platform && {
    architecture: platform.architecture,
    os: platform.os,
    ...(platform["os.version"] === undefined ? {} : { "os.version": platform["os.version"] }),
    ...(platform["os.features"] === undefined ? {} : { "os.features": platform["os.features"] }),
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
  };
  const parsed: unknown = JSON.parse(document);
  return {
    Ref: name,
    Descriptor: { mediaType, digest, size, ...(known ? { platform: known } : {}) },
    Raw: Buffer.from(document).toString("base64"),
    ...(mediaType === mediaTypes.dockerManifest ? { SchemaV2Manifest: parsed } : { OCIManifest: parsed }),
  };
}

/** The manifest's own text. */
export function documentOf(manifest: StoredManifest): string {
  return Buffer.from(manifest.Raw, "base64").toString("utf8");
}

/** Lists being made: <configuration>/manifests/<list>/<manifest>, the files of Docker's own client. */
export class ManifestStore {
  readonly #root: string;

  constructor(configFolder: string) {
    this.#root = join(configFolder, "manifests");
  }

  /** A list's manifests in the order of their names; undefined when there is no such list. */
  list(list: string): readonly StoredManifest[] | undefined {
    const folder = join(this.#root, fileName(list));
    try {
      return readdirSync(folder)
        .filter((name) => !name.startsWith("."))
        .sort()
        .map((name) => readStored(join(folder, name)));
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  get(list: string, manifest: string): StoredManifest | undefined {
    try {
      return readStored(join(this.#root, fileName(list), fileName(manifest)));
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  save(list: string, manifest: string, value: StoredManifest): void {
    const folder = join(this.#root, fileName(list));
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    const fresh = join(folder, `.${process.pid}`);
    writeFileSync(fresh, JSON.stringify(value));
    renameSync(fresh, join(folder, fileName(manifest)));
  }

  remove(list: string): void {
    rmSync(join(this.#root, fileName(list)), { recursive: true, force: true });
  }
}

export function noSuchManifest(name: string) {
  return notFound(`No such manifest: ${name}`);
}

/** References have neither "." nor ".." as a whole, so that no name leads out of the folder. */
function fileName(reference: string): string {
  return reference.replaceAll(":", "-").replaceAll("/", "_");
}

function readStored(path: string): StoredManifest {
  const text = readFileSync(path, "utf8");
  let value: Partial<StoredManifest>;
  try {
    value = JSON.parse(text) as Partial<StoredManifest>;
  } catch (cause) {
    throw invalid(`invalid manifest file ${path}: ${messageOf(cause)}`, cause);
  }
  const { Ref, Descriptor, Raw } = value;
  if (typeof Ref !== "string" || typeof Descriptor?.digest !== "string") {
    throw invalid(`invalid manifest file ${path}: it names no manifest`);
  }
  if (typeof Raw === "string") return { ...value, Ref, Descriptor, Raw };
  // Older clients kept the document alone.
  const document = value.SchemaV2Manifest ?? value.OCIManifest;
  if (document === undefined) throw invalid(`${Ref} has no payload`);
  return { ...value, Ref, Descriptor, Raw: Buffer.from(JSON.stringify(document)).toString("base64") };
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
