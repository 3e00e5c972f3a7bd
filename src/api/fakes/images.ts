import { notFound, TugError } from "../../base/lib/errors.ts";
import type { ProgressMessage } from "../../base/spec/docker/progress.ts";
import type { ImageBackend } from "../routes/images/backend.ts";
import type { FakeEngine } from "./engine.ts";

export function fakeImages(engine: FakeEngine): ImageBackend {
  return {
    list: async (options) => {
      engine.log("images", options);
      return [
        {
          Id: `sha256:${"a".repeat(64)}`,
          ParentId: "",
          RepoTags: [],
          RepoDigests: [],
          Created: 1_700_000_000,
          Size: 1000,
          SharedSize: -1,
          Labels: {},
          Containers: 2,
        },
      ];
    },
    inspect: async (reference, options) => {
      engine.log("imageInspect", reference, options);
      if (reference === "missing") throw notFound("No such image: missing");
      return {
        Id: `sha256:${"a".repeat(64)}`,
        RepoTags: ["busybox:latest"],
        Size: 1000,
        Config: { Cmd: ["sh"] },
        Architecture: "amd64",
        Os: "linux",
      };
    },
    history: async (reference, options) => {
      engine.log("history", reference, options);
      return [];
    },
    attestations: async (reference, options) => {
      engine.log("attestations", reference, options);
      return [];
    },
    tag: async (source, repo, tag) => engine.log("tag", source, repo, tag),
    remove: async (reference, options) => {
      engine.log("imageRemove", reference, options);
      return [{ Untagged: "busybox:latest" }];
    },
    pull: (reference, options) => pull(engine, reference, options),
    push: (reference, options) => push(engine, reference, options),
    inventory: async () => ({ Version: 1, Blobs: [`sha256:${"e".repeat(64)}`], Chains: [] }),
    bootstrap: (request) => bootstrap(engine, request),
    import: (source, options) => importArchive(engine, source, options),
    load: (tar, options) => load(engine, tar, options),
    save: async (references, options) => {
      engine.log("save", references, options);
      return new Blob(["saved"]).stream();
    },
    prune: async () => ({ ImagesDeleted: null, SpaceReclaimed: 0 }),
    search: async (term, options) => {
      engine.log("search", term, options);
      return [];
    },
    readManifest: async (reference, options) => {
      engine.log("readManifest", reference, options);
      const digest = `sha256:${"d".repeat(64)}`;
      return { Descriptor: { mediaType: "m", digest, size: 2 }, Document: "{}" };
    },
    writeManifest: async (reference, document, options) => {
      engine.log("writeManifest", reference, Buffer.from(document).toString(), options);
      return { Digest: `sha256:${"d".repeat(64)}` };
    },
  };
}

async function* pull(
  engine: FakeEngine,
  reference: string,
  options: unknown,
): AsyncGenerator<ProgressMessage> {
  engine.log("pull", reference, options);
  if (reference.includes("missing")) {
    throw notFound(
      `pull access denied for ${reference}, repository does not exist or may require 'docker login'`,
    );
  }
  yield { status: "Pulling from library/busybox", id: "latest" };
  if (reference.startsWith("broken")) throw new TugError("data-loss", "layer digest mismatch");
  yield { status: "Download complete", progressDetail: {}, id: "abcdef" };
}

async function* push(
  engine: FakeEngine,
  reference: string,
  options: unknown,
): AsyncGenerator<ProgressMessage> {
  engine.log("push", reference, options);
  yield { status: "pushed" };
}

async function* bootstrap(engine: FakeEngine, request: unknown): AsyncGenerator<ProgressMessage> {
  engine.log("bootstrap", request);
  yield { status: "Retrieving", id: "release", progressDetail: {} };
}

async function* importArchive(
  engine: FakeEngine,
  source: ReadableStream<Uint8Array>,
  options: unknown,
): AsyncGenerator<ProgressMessage> {
  engine.log("import", await new Response(source).text(), options);
  yield { status: `sha256:${"d".repeat(64)}` };
}

async function* load(
  engine: FakeEngine,
  tar: ReadableStream<Uint8Array>,
  options: unknown,
): AsyncGenerator<ProgressMessage> {
  const { byteLength } = await new Response(tar).arrayBuffer();
  engine.log("load", byteLength, options);
  if (byteLength < 512) throw new TugError("invalid-argument", "unexpected EOF");
  yield { stream: "Loaded image: busybox:latest\n" };
}
