import type { Digest } from "../../../../base/lib/ids.ts";
import { encodePath } from "../../../../base/lib/path-bytes.ts";
import type { ParentMatches } from "../../../../base/spec/dockerfile/ignore.ts";
import { Digester } from "../../../../base/spec/oci/digest.ts";
import type { FileKind } from "../../../../base/sys/stat.ts";
import type { Selection } from "../protocol.ts";
import { Excluded, SourceMissing, selectSources } from "./select.ts";
import type { TreeReader } from "./tree-reader.ts";

/** What a node is but for its name and times. */
export interface NodeFacts {
  readonly kind: FileKind;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
}

/** A tree whose contents can be told by digest. */
export interface DigestibleTree<Node extends NodeFacts> extends TreeReader<Node> {
  /** Hex of the SHA-256 of a regular file's bytes. */
  content(path: string, node: Node): string;
  /** Extended attributes as one text without NUL, in a fixed order; "" for none. */
  xattrs(path: string, node: Node): string;
}

/**
 * What a copy of this selection reads, as one digest: names, types, modes, owners, devices, link targets, attributes and contents, no times. The
 * metadata of a directory whose contents are copied is not in it: the copy does not take it over. In slices, each ended by a yield.
 */
export function* digestSelection<Node extends NodeFacts>(
  tree: DigestibleTree<Node>,
  selection: Selection,
): Generator<void, Digest, undefined> {
  const hash = new SelectionHash();
  const told = (name: string, node: Node, path: string) =>
    hash.node(name, node, tree.xattrs(path, node), whatIs(tree, path, node));
  const excluded = new Excluded(selection.exclude);
  const visit = function* (
    path: string,
    name: string,
    below: string,
    matches: ParentMatches | undefined,
    judged: boolean,
  ): Generator<void, void, undefined> {
    yield;
    const node = tree.lstat(path);
    if (!node) return;
    const verdict = judged ? excluded.judge(below, node.kind === "directory", matches) : undefined;
    if (verdict?.leave) return;
    told(name, node, path);
    if (node.kind !== "directory") return;
    for (const entry of tree.names(path)) {
      yield* visit(join(path, entry), entry, join(below, entry), verdict?.below, true);
    }
    hash.directoryEnd();
  };
  for (const source of selection.sources) {
    try {
      for (const one of selectSources(tree, { ...selection, sources: [source] })) {
        if (one.below !== undefined && one.below !== "") {
          for (const above of parentsOf(one.path, one.below)) {
            const node = tree.lstat(above);
            if (node) told(above, node, above);
          }
          yield* visit(one.path, one.below, one.below, undefined, true);
        } else if (one.kind === "directory") {
          hash.contents();
          for (const entry of tree.names(one.path))
            yield* visit(join(one.path, entry), entry, entry, undefined, true);
          hash.directoryEnd();
        } else {
          yield* visit(one.path, one.named.slice(one.named.lastIndexOf("/") + 1), "", undefined, false);
        }
      }
    } catch (error) {
      if (!(error instanceof SourceMissing)) throw error;
      hash.missing(error.path);
    }
    hash.sourceEnd();
  }
  return hash.digest();
}

function join(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

/** Directories between the pivot and what was named. */
function parentsOf(path: string, below: string): string[] {
  const parts = path.split("/");
  const first = parts.length - below.split("/").length;
  return parts.slice(first, -1).map((_, index) => parts.slice(0, first + index + 1).join("/"));
}

/** What a node is beyond its metadata: a file's hash, where a link leads, a device's number. */
function whatIs<Node extends NodeFacts>(tree: DigestibleTree<Node>, path: string, node: Node): string {
  if (node.kind === "file") return tree.content(path, node);
  return node.kind === "symlink" ? tree.readlink(path) : deviceOf(node);
}

/** "" for what is no device. */
export function deviceOf({ kind, rdevMajor, rdevMinor }: NodeFacts): string {
  return kind === "char" || kind === "block" ? `${rdevMajor}:${rdevMinor}` : "";
}

/**
 * A selection's digest in the making, for who walks it: a copy that reads everything anyway tells it what `digestSelection` would find.
 * Records of fields; neither holds a NUL, so that no two lists of records are the same bytes.
 */
export class SelectionHash {
  readonly #hash = new Digester();
  #held: string[] = [];

  /** A node by the name that it is copied under. `what`: see `whatIs`; a directory's entries follow, then `directoryEnd`. */
  node(name: string, node: NodeFacts, xattrs: string, what: string): void {
    const { kind, mode, uid, gid } = node;
    const bits = kind === "symlink" ? 0 : mode & 0o7777;
    this.#record(name, kind, bits.toString(8), `${uid}:${gid}`, xattrs, what);
  }

  /** What is in a directory that was named follows, then `directoryEnd`. */
  contents(): void {
    this.#record("contents");
  }

  directoryEnd(): void {
    this.#record("end");
  }

  /** A source that is not there. */
  missing(path: string): void {
    this.#record("missing", path);
  }

  /** All of one source was told. */
  sourceEnd(): void {
    this.#record("source");
  }

  digest(): Digest {
    this.#flush();
    return this.#hash.digest();
  }

  #record(...fields: readonly string[]): void {
    this.#held.push(`${fields.length}\0${fields.join("\0")}\0`);
    if (this.#held.length >= 256) this.#flush();
  }

  #flush(): void {
    this.#hash.update(encodePath(this.#held.join("")));
    this.#held = [];
  }
}
