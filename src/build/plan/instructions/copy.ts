import { invalid } from "../../../base/lib/errors.ts";
import { parseDigest } from "../../../base/spec/docker/reference.ts";
import { type GitRef, parseGitRef } from "../../../base/spec/dockerfile/git-ref.ts";
import { cleanPath } from "../../../base/spec/dockerfile/ignore.ts";
import { rules } from "../../../base/spec/dockerfile/rules.ts";
import type { CopyInstruction, Heredoc } from "../../../base/spec/dockerfile/syntax.ts";
import type { CopyAction, FileOp, Vertex } from "../../graph.ts";
import { parseModeChange } from "../../run/file/copy/chmod.ts";
import { copyAction } from "../copy-action.ts";
import { sourceOfGit } from "../git-source.ts";
import { Inputs } from "../vertices.ts";
import { ownerOf } from "./owner.ts";
import type { Step } from "./step.ts";

/** COPY or ADD with its variables expanded. */
interface Copy extends Pick<CopyInstruction, "kind" | "source" | "link" | "parents" | "exclude" | "unpack"> {
  readonly node: CopyInstruction;
  readonly sources: readonly string[];
  readonly documents: readonly Heredoc[];
  /** As written, for the history. */
  readonly dest: string;
  readonly chown: string;
  readonly chmod: string;
  readonly checksum: string;
  readonly keepGitDir: boolean | undefined;
}

export function dispatchCopy(at: Step, node: CopyInstruction): void {
  const { stage, plan } = at;
  const copy = expandCopy(at, node);
  if (copy.chmod !== "") parseModeChange(copy.chmod);
  const from = sourceOfCopy(at, node);
  const dest = destination(stage.workdir, copy.dest);
  const name = at.name(node.source);
  const build = new CopyBuilder(at, copy, dest, name);
  const inputs = new Inputs();
  // A linked copy is made on nothing and put on the root afterwards.
  const root = node.link ? undefined : inputs.index(stage.root);
  const actions = build.actions(inputs, from);
  const op: FileOp = { kind: "file", root, actions, epoch: plan.epoch, platform: at.platform };
  if (!node.link) at.addLayer(op, inputs, name, build.history());
  else {
    const { range } = node;
    const layer = plan.vertices.add(op, inputs.list, { name, range, ignoreCache: stage.ignoreCache });
    const below = new Inputs();
    const base = below.index(stage.root);
    // Not by digest: the layer may equal the root.
    const above = below.append(layer);
    const linked = name.replace(/^(\[[^\]]*\] (?:ONBUILD )?)?/, "$1LINK ");
    at.addLayer({ kind: "restack", root: base, layer: above }, below, linked, build.history());
  }
}

function expandCopy(at: Step, node: CopyInstruction): Copy {
  const checksum = at.expand(node.checksum);
  const sources = node.sources.map((source) => at.expand(source));
  const { kind, source, link, parents, exclude, unpack, keepGitDir } = node;
  const [only] = sources;
  if (checksum !== "") {
    if (sources.length !== 1) throw invalid("checksum can't be specified for multiple sources");
    if (!/^https?:\/\//.test(only ?? "") && !parseGitRef(only ?? ""))
      throw invalid("checksum requires HTTP(S) or Git sources");
  }
  return {
    node,
    kind,
    source,
    link,
    parents,
    exclude,
    unpack,
    keepGitDir,
    checksum,
    sources,
    documents: node.documents.map((document) =>
      document.expand ? { ...document, content: expandDocument(at, document.content) } : document,
    ),
    dest: at.expand(node.dest),
    chown: at.expand(node.chown),
    chmod: at.expand(node.chmod),
  };
}

/** In documents only variables and escapes mean something. */
function expandDocument(at: Step, content: string): string {
  return at.expand(content, { escape: "\\", plainQuotes: true, limit: 1 << 24 });
}

/** What is copied from: a stage, an image, a context. Notes which paths of it are read. */
function sourceOfCopy(at: Step, node: CopyInstruction): () => Vertex | undefined {
  const [source] = at.command.sources;
  if (!source) return at.mainContext;
  if (!source.dispatched) {
    throw invalid(
      `cannot copy from stage ${JSON.stringify(node.from)}, it needs to be defined before current stage ${JSON.stringify(at.stage.shownName)}`,
    );
  }
  return () => source.root;
}

/** Absolute, with a slash at its end where that was written or meant: a directory. */
function destination(workdir: string, dest: string): string {
  const path = cleanPath(dest.startsWith("/") ? dest : `${workdir || "/"}/${dest}`);
  const absolute = path.startsWith("/") ? path : `/${path}`;
  const directory = /(?:^|\/)\.?$/.test(dest) || dest === "";
  return directory && absolute !== "/" ? `${absolute}/` : absolute;
}

class CopyBuilder {
  readonly #at: Step;
  readonly #copy: Copy;
  readonly #dest: string;
  readonly #name: string;
  constructor(at: Step, copy: Copy, dest: string, name: string) {
    this.#at = at;
    this.#copy = copy;
    this.#dest = dest;
    this.#name = name;
  }

  history(): string {
    const { kind, parents, chown, chmod, sources, documents, dest } = this.#copy;
    const flags = [
      ...(parents ? ["--parents"] : []),
      ...(chown === "" ? [] : [`--chown=${chown}`]),
      ...(chmod === "" ? [] : [`--chmod=${chmod}`]),
    ];
    const named = documents.map((document) => `<<${document.name}`);
    return `${[kind, ...flags, ...sources, ...named, dest].join(" ")} # buildkit`;
  }

  /** One for each run of sources of a kind, in their order; what comes later is written over what came before. */
  actions(inputs: Inputs, from: () => Vertex | undefined): readonly CopyAction[] {
    const actions: CopyAction[] = [];
    let local: string[] = [];
    const flush = () => {
      if (local.length > 0) actions.push(this.#local(inputs.index(from()), local));
      local = [];
    };
    for (const source of this.#copy.sources) {
      const remote = this.#remote(source, inputs);
      if (!remote) local.push(this.#localSource(source));
      else {
        flush();
        actions.push(remote);
      }
    }
    flush();
    for (const document of this.#copy.documents) actions.push(this.#document(document, inputs));
    return actions;
  }

  #action(from: CopyAction["from"], sources: readonly string[]): CopyAction {
    const { kind, chown, chmod, exclude } = this.#copy;
    return copyAction({
      from,
      sources,
      dest: this.#dest,
      owner: ownerOf(chown),
      chmod: chmod === "" ? undefined : chmod,
      exclude,
      instruction: kind,
    });
  }

  #local(from: CopyAction["from"], sources: readonly string[]): CopyAction {
    const { kind, parents, unpack } = this.#copy;
    return { ...this.#action(from, sources), wildcard: true, parents, unpack: unpack ?? kind === "ADD" };
  }

  /** Relative and clean; the pivot of --parents ("/./") stays. Notes what is read. */
  #localSource(source: string): string {
    const { command, plan } = this.#at;
    const path = cleanPath(`/${source}`);
    const [from] = command.sources;
    if (from) from.paths.add(path);
    else {
      plan.paths.add("", [path]);
      this.#lintIgnored(source);
    }
    const pivot = this.#copy.parents ? source.indexOf("/./") : -1;
    if (pivot < 0) return path.slice(1);
    return `${cleanPath(`/${source.slice(0, pivot)}`).slice(1)}/./${cleanPath(`/${source.slice(pivot + 3)}`).slice(1)}`;
  }

  /** What `.dockerignore` keeps away cannot be copied; lists with exceptions are beyond a look at patterns. */
  #lintIgnored(source: string): void {
    const { list, patterns } = this.#at.plan.ignore;
    if (!list || list.hasExceptions) return;
    const path = cleanPath(source);
    const isRoot = path === "." || path === "/";
    if (isRoot && !patterns.some((pattern) => /^(?:\*|\*\*|\*\*\/\*)$/.test(cleanPath(pattern)))) return;
    if (!isRoot && !list.matches(path)) return;
    if (isRoot && !list.matches(path)) return;
    const verb = this.#copy.kind === "ADD" ? "Add" : "Copy";
    const text = `Attempting to ${verb} file ${JSON.stringify(path)} that is excluded by .dockerignore`;
    this.#at.plan.lint.warn(rules.copyIgnoredFile, text, this.#copy.node);
  }

  /** A repository or a URL; undefined for a path. */
  #remote(source: string, inputs: Inputs): CopyAction | undefined {
    const git = parseGitRef(source);
    if (git && !git.likePath) return this.#git(git, inputs);
    return /^https?:\/\//.test(source) ? this.#http(source, inputs) : undefined;
  }

  #git(git: GitRef, inputs: Inputs): CopyAction {
    const { kind, keepGitDir, checksum } = this.#copy;
    if (kind === "COPY") throw invalid("source can't be a git ref for COPY");
    if (keepGitDir !== undefined && git.keepGitDir !== undefined && keepGitDir !== git.keepGitDir)
      throw invalid("inconsistent keep-git-dir configuration");
    if (checksum !== "" && git.checksum !== undefined && checksum !== git.checksum) {
      throw invalid(`checksum mismatch ${JSON.stringify(checksum)} != ${JSON.stringify(git.checksum)}`);
    }
    const op = sourceOfGit(git, keepGitDir, git.checksum ?? (checksum === "" ? undefined : checksum));
    return this.#action(inputs.index(this.#source(op)), [""]);
  }

  #http(url: string, inputs: Inputs): CopyAction {
    const { kind, checksum, unpack } = this.#copy;
    if (kind === "COPY") throw invalid("source can't be a URL for COPY");
    const filename = fileOfUrl(url);
    const digest = checksum === "" ? undefined : parseDigest(checksum);
    const from = inputs.index(this.#source({ kind: "http", url, filename, checksum: digest }));
    return { ...this.#action(from, [filename]), unpack: unpack ?? false, remote: true };
  }

  #source(op: Parameters<Step["plan"]["vertices"]["add"]>[0]): Vertex {
    return this.#at.plan.vertices.add(op, [], { name: this.#name, range: this.#copy.node.range });
  }

  #document(document: Heredoc, inputs: Inputs): CopyAction {
    const path = cleanPath(`/${document.name}`);
    const vertex = inlineDocument(this.#at, path, document.content, 0o644);
    return this.#action(inputs.index(vertex), [path.slice(1)]);
  }
}

/** A file that the Dockerfile itself has. */
export function inlineDocument(at: Step, path: string, content: string, mode: number): Vertex {
  const actions = [{ kind: "write", path, mode, owner: undefined, content }] as const;
  const op = {
    kind: "file",
    root: undefined,
    actions,
    epoch: at.plan.epoch,
    platform: at.platform,
  } as const;
  const { range } = at.command.instruction;
  return at.plan.vertices.add(op, [], { name: "[internal] preparing inline document", range });
}

/** The last part of a URL's path, as the file will be called. */
export function fileOfUrl(url: string): string {
  const path = /^https?:\/\/[^/?#]*([^?#]*)/.exec(url)?.[1] ?? "";
  let name = path.replace(/\/+$/, "").split("/").at(-1) ?? "";
  try {
    name = decodeURIComponent(name);
  } catch (error) {
    if (!(error instanceof URIError)) throw error; // then it is called as it is written
  }
  return name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0")
    ? "__unnamed__"
    : name;
}
