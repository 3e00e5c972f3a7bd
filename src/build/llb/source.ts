import { invalid, TugError } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import type { SourceOp } from "../../base/spec/buildkit/pb.gen.ts";
import { formatReference, parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import type { FileOp, GitSource, HttpSource, LocalSource, SourceOp as SourceVertex } from "../graph.ts";
import { copyAction } from "../plan/copy-action.ts";
import { imageKey } from "../plan/input.ts";
import type { ResolvedImage } from "../plan.ts";
import type { OpContext } from "./context.ts";
import { handedPrefix } from "./handed-out.ts";
import { emptyTree, onTop, type Tree, treeOf } from "./tree.ts";

type Attrs = Readonly<Record<string, string>>;

/** A source by its identifier ("docker-image://…", "local://…") and attributes (solver/pb/attr.go of BuildKit). */
export function translateSource(context: OpContext, { identifier, attrs }: SourceOp): Tree {
  if (identifier.startsWith(handedPrefix)) return treeOf(context.input.handed(identifier).target);
  const scheme = /^([a-z-]+):\/\//.exec(identifier)?.[1] ?? "";
  const rest = identifier.slice(scheme.length + 3);
  switch (scheme) {
    case "docker-image":
      return imageSource(context, rest, attrs);
    case "oci-layout":
      return layoutSource(context, rest, attrs);
    case "local":
      return plain(context, localSource(context, rest, attrs), attrs["local.name"] ?? identifier);
    case "git":
      return plain(context, gitSource(rest, attrs), identifier);
    case "http":
    case "https":
      return httpSource(context, identifier, attrs);
    default:
      throw refused(
        `the source ${JSON.stringify(identifier.slice(0, 200))}`,
        "docker-image, oci-layout, local, git, http and https",
      );
  }
}

function refused(what: string, known: string): TugError {
  return new TugError("not-implemented", `${what} is none that this builder has: ${known}`);
}

/** A tree that is no image's: as a layer it is all of itself. */
function plain(context: OpContext, op: SourceVertex, name: string): Tree {
  return onTop(emptyTree, context.vertex(op, { list: [] }, name));
}

function imageSource(context: OpContext, name: string, attrs: Attrs): Tree {
  refuseAttr(attrs, "image.layerlimit");
  const reference = formatReference(withDefaultTag(parseReference(name)));
  const mode = attrs["image.resolvemode"];
  const pull = mode === "pull" || (mode === undefined && context.input.pull);
  const image = askImage(context, { reference, shown: name, pull, store: undefined });
  if (!image) return emptyTree;
  const { platform } = context;
  const op = { kind: "image", reference, image: image.image, platform } as const;
  return imageTree(context, op, { image, reference, name: `docker-image://${name}` });
}

function layoutSource(context: OpContext, name: string, attrs: Attrs): Tree {
  refuseAttr(attrs, "oci.layerlimit");
  const { digest, path, domain } = parseReference(name);
  if (digest === undefined) throw invalid(`oci-layout reference ${JSON.stringify(name)} has no digest`);
  const reference = `${domain}/${path}@${digest}`;
  const store = attrs["oci.store"] || path.split("/").at(-1) || "";
  const image = askImage(context, { reference, shown: name, pull: false, store });
  if (!image) return emptyTree;
  const op = {
    kind: "oci-layout",
    store,
    manifest: image.digest ?? digest,
    platform: context.platform,
  } as const;
  return imageTree(context, op, { image, reference, name: `oci-layout://${name}` });
}

function imageTree(
  context: OpContext,
  op: SourceVertex,
  found: { readonly image: ResolvedImage; readonly reference: string; readonly name: string },
): Tree {
  const layers = found.image.config.rootfs.diff_ids;
  const base = { reference: found.reference, image: found.image.image, layers };
  // An image without layers is an empty root.
  const vertex = layers.length === 0 ? undefined : context.vertex(op, { list: [] }, found.name);
  return { vertex, base, layers: undefined };
}

/** undefined and noted when it is not known yet. Throws why it could not be asked. */
function askImage(
  { input, needs, platform }: OpContext,
  ask: {
    readonly reference: string;
    readonly shown: string;
    readonly pull: boolean;
    readonly store: string | undefined;
  },
): ResolvedImage | undefined {
  const { reference, pull, store, shown } = ask;
  const key = imageKey(reference, platform, store);
  const known = input.images.get(key);
  if (known instanceof TugError) throw known;
  if (known) return known;
  const progressName = `resolve image config for ${store === undefined ? "docker-image" : "oci-layout"}://${shown}`;
  needs.set(key, { key, reference, platform, pull, store, progressName, location: undefined });
  return undefined;
}

function localSource({ input }: OpContext, name: string, attrs: Attrs): LocalSource {
  const asked = attrs["local.session"] ?? "";
  const session = asked === "" ? input.session : asked;
  if (session !== input.session && !input.lenders.has(session))
    throw invalid(`no active session for ${JSON.stringify(session)}: local://${name} is another client's`);
  const include = patterns(attrs, "local.includepattern");
  const follow = patterns(attrs, "local.followpaths");
  const exclude = patterns(attrs, "local.excludepatterns");
  return { kind: "local", name, session, exclude, include, follow };
}

/** A JSON list of texts. */
function patterns(attrs: Attrs, name: string): readonly string[] {
  const text = attrs[name];
  if (text === undefined || text === "" || text === "null") return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw invalid(`${name} is no list of patterns: ${text.slice(0, 80)}`, cause);
  }
  if (Array.isArray(parsed) && parsed.every((one) => typeof one === "string")) return parsed;
  throw invalid(`${name} is no list of patterns: ${text.slice(0, 80)}`);
}

/** "host/repository.git#ref:directory"; the whole address is an attribute. */
function gitSource(rest: string, attrs: Attrs): GitSource {
  for (const name of ["git.knownsshhosts", "git.mountsshsock"] as const) {
    // The agent is asked for as for any repository, and hosts are known as they are there.
    if (attrs[name] !== undefined && attrs[name] !== "" && attrs[name] !== "default") refuseAttr(attrs, name);
  }
  if ((attrs["git.authtokensecret"] ?? "GIT_AUTH_TOKEN") !== "GIT_AUTH_TOKEN")
    refuseAttr(attrs, "git.authtokensecret");
  if ((attrs["git.authheadersecret"] ?? "GIT_AUTH_HEADER") !== "GIT_AUTH_HEADER")
    refuseAttr(attrs, "git.authheadersecret");
  const [address = "", fragment = ""] = split(rest, "#");
  const [ref = "", subdir = ""] = split(fragment, ":");
  const remote = attrs["git.fullurl"] || `https://${address}`;
  const checksum = attrs["git.checksum"] || undefined;
  return {
    kind: "git",
    remote,
    ref,
    subdir: subdir.replace(/^\/+/, ""),
    keepGitDir: attrs["git.keepgitdir"] === "true",
    submodules: attrs["git.skipsubmodules"] !== "true",
    mtime: "checkout",
    checksum,
  };
}

function split(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** Mode and owner of the file are a copy's business here. */
function httpSource(context: OpContext, url: string, attrs: Attrs): Tree {
  for (const name of Object.keys(attrs))
    if (name.startsWith("http.header.") || name === "http.authheadersecret") refuseAttr(attrs, name);
  const checksum = attrs["http.checksum"] || undefined;
  if (checksum !== undefined && !/^sha256:[0-9a-f]{64}$/.test(checksum))
    throw invalid(`invalid http.checksum ${JSON.stringify(checksum.slice(0, 80))}`);
  const filename = attrs["http.filename"] ?? "";
  if (/[/\0]/.test(filename) || filename === "." || filename === "..")
    throw invalid(`invalid http.filename ${JSON.stringify(filename.slice(0, 80))}`);
  const source: HttpSource = { kind: "http", url, filename, checksum: checksum as Digest | undefined };
  const plainTree = plain(context, source, url);
  const mode = number(attrs, "http.perm");
  const [uid, gid] = [number(attrs, "http.uid"), number(attrs, "http.gid")];
  if ((mode === undefined && uid === undefined && gid === undefined) || !plainTree.vertex) return plainTree;
  const owner = { user: String(uid ?? 0), group: String(gid ?? 0) };
  const action = copyAction({ from: 0, sources: ["/"], dest: "/", owner });
  const chmod = (mode ?? 0o600).toString(8).padStart(4, "0");
  const op: FileOp = {
    kind: "file",
    root: undefined,
    actions: [{ ...action, chmod }],
    epoch: undefined,
    platform: context.platform,
  };
  return onTop(emptyTree, context.vertex(op, { list: [plainTree.vertex] }, url));
}

/** As Go's strconv reads it with base 0: "0644", "420". */
function number(attrs: Attrs, name: string): number | undefined {
  const text = attrs[name];
  if (text === undefined || text === "") return undefined;
  const value = /^0o?[0-7]+$/.test(text)
    ? Number.parseInt(text.replace(/^0o?/, ""), 8)
    : /^\d{1,10}$/.test(text)
      ? Number(text)
      : undefined;
  if (value === undefined) throw invalid(`invalid ${name} ${JSON.stringify(text.slice(0, 80))}`);
  return value;
}

function refuseAttr(attrs: Attrs, name: string): void {
  if (attrs[name] === undefined || attrs[name] === "") return;
  throw new TugError("not-implemented", `the attribute ${name} of a source is not known to this builder`);
}
