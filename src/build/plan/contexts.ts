import { invalid, notFound, TugError } from "../../base/lib/errors.ts";
import {
  familiarString,
  formatReference,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../../base/spec/docker/reference.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import { formatPlatform, normalizePlatform } from "../../base/spec/oci/platform.ts";
import type { FileOp, Vertex } from "../graph.ts";
import type { ResolvedImage } from "../plan.ts";
import type { ContextRef } from "../request.ts";
import { given } from "./arguments.ts";
import { copyAction } from "./copy-action.ts";
import { gitContext, gitSource } from "./git-source.ts";
import { imageKey } from "./input.ts";
import { inputNamed, type LoadedInput } from "./inputs.ts";
import { type PlatformPlan, readIgnore } from "./platform-plan.ts";
import type { NamedContext } from "./stage.ts";
import { makeVertex } from "./vertices.ts";

/** --build-context NAME or NAME::platform in place of what is called so. "scratch" and "context" are nobody's. */
export function findContext(
  plan: PlatformPlan,
  name: string,
  platform: Platform | undefined,
): NamedContext | undefined {
  if (name.toLowerCase() === "scratch" || name.toLowerCase() === "context") return undefined;
  const contexts = plan.input.request.namedContexts;
  if (Object.keys(contexts).length === 0) return undefined;
  const short = shortName(name);
  const precise = `${short}::${formatPlatform(normalizePlatform(platform ?? plan.target))}`;
  for (const key of [precise, short]) {
    const ref = given(contexts, key);
    if (ref) return { ref, name: short, key };
  }
  return undefined;
}

function shortName(name: string): string {
  try {
    return familiarString(parseReference(name)).replace(/:latest$/, "");
  } catch (error) {
    if (error instanceof TugError) throw invalid(`invalid context name ${name}: ${error.message}`, error);
    throw error;
  }
}

/** A context as something to read: its tree and, of an image, what that says of itself. undefined: it lacks something still. */
export interface LoadedContext {
  readonly vertex: Vertex | undefined;
  readonly image: ResolvedImage | undefined;
  readonly reference: string | undefined;
  /** What the client handed over, with the text of its image config, if it has one. */
  readonly input?: LoadedInput & { readonly config: string | undefined };
}

export function loadContext(
  plan: PlatformPlan,
  context: NamedContext,
  platform: Platform,
): LoadedContext | undefined {
  const { ref, key } = context;
  const name = (text: string) => `[context ${key}] ${text}`;
  const plain = (vertex: Vertex | undefined): LoadedContext => ({
    vertex,
    image: undefined,
    reference: undefined,
  });
  switch (ref.kind) {
    case "none":
      return plain(undefined);
    case "local": {
      const exclude = contextIgnore(plan, context, ref.name);
      if (!exclude) return undefined;
      const include = plan.paths.include(key);
      const { session } = plan.input;
      const op = { kind: "local", name: ref.name, session, exclude, include } as const;
      return plain(plan.vertices.add(op, [], { name: name("load from client") }));
    }
    case "git": {
      const git = gitSource(ref.url, undefined);
      if (!git) throw invalid(`invalid git context ${ref.url}`);
      return plain(plan.vertices.add(git, [], { name: name(ref.url) }));
    }
    case "http": {
      const git = gitSource(ref.url, undefined);
      const http = { kind: "http", url: ref.url, filename: "", checksum: undefined } as const;
      return plain(plan.vertices.add(git ?? http, [], { name: name(ref.url) }));
    }
    case "image":
      return loadImageContext(plan, ref, context, platform);
    case "oci-layout":
      return loadLayoutContext(plan, ref, context, platform);
    case "input": {
      const input = inputNamed(plan.input.inputs, ref.name);
      return { ...plain(input.root), input: { ...input, config: ref.config } };
    }
  }
}

/** Patterns of a named local context; undefined while its `.dockerignore` was not read. */
function contextIgnore(
  plan: PlatformPlan,
  { key }: NamedContext,
  local: string,
): readonly string[] | undefined {
  const text = plan.input.ignoreFiles.get(key);
  if (text !== undefined) return readIgnore(text, ".dockerignore").patterns;
  const { session } = plan.input;
  const op = { kind: "local", name: local, session, exclude: [], include: [".dockerignore"] } as const;
  const vertex = plan.vertices.add(op, [], { name: `[context ${key}] load .dockerignore` });
  plan.needs.ignoreFiles.set(key, { context: key, vertex });
  return undefined;
}

function loadImageContext(
  plan: PlatformPlan,
  ref: ContextRef & { readonly kind: "image" },
  { key }: NamedContext,
  platform: Platform,
): LoadedContext | undefined {
  if (ref.reference === "scratch") return { vertex: undefined, image: undefined, reference: undefined };
  const reference = formatReference(withDefaultTag(parseReference(ref.reference)));
  const progressName = `[context ${key}] load metadata for ${ref.reference}`;
  const image = askImage(plan, { reference, platform, progressName });
  if (!image) return undefined;
  const op = { kind: "image", reference, image: image.image, platform } as const;
  const vertex = plan.vertices.add(op, [], { name: `[context ${key}] ${ref.reference}` });
  return { vertex: hasLayers(image) ? vertex : undefined, image, reference };
}

function loadLayoutContext(
  plan: PlatformPlan,
  ref: ContextRef & { readonly kind: "oci-layout" },
  { key, name }: NamedContext,
  platform: Platform,
): LoadedContext | undefined {
  const parsed = parseReference(ref.reference);
  if (parsed.digest === undefined)
    throw invalid(`oci-layout reference ${JSON.stringify(ref.reference)} has no digest`);
  const dummy: Reference = { ...parseReference(name), digest: parsed.digest };
  const reference = formatReference(dummy);
  const progressName = `[context ${key}] load metadata for ${reference}`;
  const image = askImage(plan, { reference, platform, progressName, store: ref.store });
  if (!image) return undefined;
  const manifest = image.digest ?? parsed.digest;
  const op = { kind: "oci-layout", store: ref.store, manifest, platform } as const;
  const vertex = plan.vertices.add(op, [], { name: `[context ${key}] OCI load from client` });
  return { vertex: hasLayers(image) ? vertex : undefined, image, reference };
}

/** What an image says of itself; undefined and noted when that is not known yet. Throws why it could not be asked. */
export function askImage(
  plan: PlatformPlan,
  ask: {
    readonly reference: string;
    readonly platform: Platform;
    readonly progressName: string;
    readonly store?: string;
    readonly range?: Vertex["location"];
  },
): ResolvedImage | undefined {
  const { reference, platform, progressName, store } = ask;
  const key = imageKey(reference, platform, store);
  const known = plan.input.images.get(key);
  if (known instanceof TugError) throw known;
  if (known) return known;
  const { pull } = plan.input.request;
  plan.needs.images.set(key, { key, reference, platform, pull, store, progressName, location: ask.range });
  return undefined;
}

/** An image without layers is an empty root. */
export function hasLayers(image: ResolvedImage): boolean {
  return image.config.rootfs.diff_ids.length > 0;
}

/** What COPY and ADD read when they name no other place. */
export function mainContext(plan: PlatformPlan): Vertex | undefined {
  const { request, session } = plan.input;
  const { context } = request;
  switch (context.kind) {
    case "none":
      return undefined;
    case "local": {
      const include = plan.paths.include("");
      const exclude = plan.ignore.patterns;
      const op = { kind: "local", name: context.name, session, exclude, include } as const;
      return plan.vertices.add(op, [], { name: "[internal] load build context" });
    }
    case "git":
    case "http":
      return remoteContext(plan, context.url);
    case "input":
      return inputNamed(plan.input.inputs, context.name).root;
    default:
      throw notFound(
        `unsupported context source ${context.kind}: name it with --build-context and COPY --from`,
      );
  }
}

function remoteContext(plan: PlatformPlan, url: string): Vertex | undefined {
  const git = gitContext(url, plan.input.request);
  if (git) return plan.vertices.add(git, [], { name: `[internal] load git source ${url}` });
  const op = { kind: "http", url, filename: "context", checksum: undefined } as const;
  const vertex = plan.vertices.add(op, [], { name: "[internal] load remote build context" });
  return plan.input.httpContext === "archive" ? unpacked(plan, vertex) : vertex;
}

function unpacked(plan: PlatformPlan, archive: Vertex): Vertex {
  return plan.vertices.add(unpackOp(plan.input.host, "context"), [archive], unpackLabel);
}

/** The tree in an archive that is its only input. */
export function contextArchive(archive: Vertex, host: Platform, name = "context"): Vertex {
  return makeVertex(unpackOp(host, name), [archive], unpackLabel);
}

const unpackLabel = { name: "[internal] unpack remote build context" };

function unpackOp(host: Platform, name: string): FileOp {
  return {
    kind: "file",
    root: undefined,
    actions: [
      copyAction({ from: 0, sources: [name], dest: "/", unpack: true, remote: true, instruction: "ADD" }),
    ],
    epoch: undefined,
    platform: host,
  };
}
