import { invalid } from "../../../base/lib/errors.ts";
import { S_IFMT } from "../../../base/sys/at.ts";
import { type FileKind, kindOfMode } from "../../../base/sys/stat.ts";
import type { ContextEntry } from "../../session.ts";
import { attributesText } from "../file/selection/attributes.ts";
import type { DigestibleTree, NodeFacts } from "../file/selection/content-digest.ts";

/** What is remembered of one entry of a kept tree. */
export interface TreeEntry extends NodeFacts {
  readonly path: string;
  readonly kind: "file" | "directory" | "symlink" | "fifo";
  /** Permission bits with set-id and sticky. */
  readonly mode: number;
  readonly size: number;
  readonly mtime: bigint;
  /** Target of a link; of a file, the path that it is another name of, or "". */
  readonly linkname: string;
  /** See `attributesText`; "" for none. */
  readonly attributes: string;
  /** Hex of the SHA-256 of a file's content; "" until it is known. */
  readonly content: string;
}

const longestPath = 4095;
/** NAME_MAX, bytes. */
const longestName = 255;
/** The kernel's limits of one value (XATTR_SIZE_MAX) are met by the file system; this bounds what is kept of one entry. */
const longestAttributes = 256 * 1024;

/** One entry as a client tells it, checked; undefined for what a tree does not keep (sockets). Throws invalid-argument. */
export function readEntry(told: ContextEntry): TreeEntry | undefined {
  const path = checkedPath(told.path);
  const kind = kindOf(told.mode);
  if (kind === "socket") return undefined;
  if (kind === "char" || kind === "block")
    throw refused(path, "is a device, which no context can have (leave it out in .dockerignore)");
  if (kind === "unknown") throw refused(path, `has the mode ${told.mode.toString(8)}`);
  if (told.linkname.length > longestPath || told.linkname.includes("\0"))
    throw refused(path, "is a link that leads nowhere");
  const linked = kind === "file" && told.linkname !== "";
  if (!Number.isSafeInteger(told.size) || told.size < 0) throw refused(path, `has ${told.size} bytes`);
  return {
    path,
    kind,
    mode: told.mode & 0o7777,
    uid: told.uid >>> 0,
    gid: told.gid >>> 0,
    rdevMajor: 0,
    rdevMinor: 0,
    size: kind === "file" && !linked ? told.size : 0,
    mtime: BigInt.asIntN(64, told.mtime),
    linkname: linked ? checkedPath(told.linkname) : kind === "symlink" ? told.linkname : "",
    attributes: attributesOf(path, told.xattrs),
    content: "",
  };
}

function refused(path: string, why: string): Error {
  return invalid(`the build context's ${JSON.stringify(path.slice(0, 200))} ${why}: refused`);
}

/** A part that is empty, "." or "..". */
const idlePart = /(?:^|\/)\.{0,2}(?:\/|$)/;

/** Relative, clean, and nothing that a path of the kernel's cannot hold. */
function checkedPath(path: string): string {
  const bad = path === "" || path.length > longestPath || path.includes("\0") || idlePart.test(path);
  if (bad) throw refused(path, "is no clean path below the context");
  if (path.length > longestName / 3 && path.split("/").some((name) => Buffer.byteLength(name) > longestName))
    throw refused(path, `has a name of more than ${longestName} bytes`);
  return path;
}

function kindOf(mode: number): FileKind {
  // A sender that says nothing of the type means a regular file.
  return (mode & S_IFMT) === 0 ? "file" : kindOfMode(mode);
}

function attributesOf(path: string, xattrs: Readonly<Record<string, Uint8Array>>): string {
  let none = true;
  for (const _ in xattrs) none = false;
  if (none) return "";
  const keys = Object.keys(xattrs).filter(
    (key) => /^(?:user|security)\./.test(key) && key !== "security.selinux",
  );
  if (keys.length === 0) return "";
  if (keys.some((key) => key.includes("\0") || key.length > 255 || key.startsWith("user.overlay.")))
    throw refused(path, "has an attribute of no possible name");
  const text = attributesText(keys.map((key) => [key, xattrs[key] ?? new Uint8Array()]));
  if (text.length > longestAttributes) throw refused(path, "has too many extended attributes");
  return text;
}

/** Whether an entry is still what is kept, so that nothing of it need be sent. */
export function sameEntry(a: TreeEntry, b: TreeEntry): boolean {
  return (
    a.kind === b.kind &&
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.size === b.size &&
    a.mtime === b.mtime &&
    a.linkname === b.linkname &&
    a.attributes === b.attributes
  );
}

const rootEntry: TreeEntry = {
  path: "",
  kind: "directory",
  mode: 0o755,
  uid: 0,
  gid: 0,
  rdevMajor: 0,
  rdevMinor: 0,
  size: 0,
  mtime: 0n,
  linkname: "",
  attributes: "",
  content: "",
};

/** The entries of a tree by path; parents are always there and directories. */
export class TreeIndex implements DigestibleTree<TreeEntry> {
  readonly entries: ReadonlyMap<string, TreeEntry>;
  #children: Map<string, string[]> | undefined;

  constructor(entries: ReadonlyMap<string, TreeEntry>) {
    this.entries = entries;
  }

  lstat(path: string): TreeEntry | undefined {
    return path === "" ? rootEntry : this.entries.get(path);
  }

  names(path: string): readonly string[] {
    this.#children ??= this.#list();
    return this.#children.get(path) ?? [];
  }

  readlink(path: string): string {
    return this.entries.get(path)?.linkname ?? "";
  }

  content(_path: string, node: TreeEntry): string {
    return node.linkname === "" ? node.content : (this.entries.get(node.linkname)?.content ?? "");
  }

  xattrs(_path: string, node: TreeEntry): string {
    return node.attributes;
  }

  get bytes(): number {
    let sum = 0;
    for (const entry of this.entries.values()) sum += entry.size;
    return sum;
  }

  #list(): Map<string, string[]> {
    const children = new Map<string, string[]>();
    for (const path of this.entries.keys()) {
      const slash = path.lastIndexOf("/");
      const parent = slash < 0 ? "" : path.slice(0, slash);
      const names = children.get(parent);
      if (names) names.push(path.slice(slash + 1));
      else children.set(parent, [path.slice(slash + 1)]);
    }
    for (const names of children.values()) names.sort();
    return children;
  }
}

type Row = readonly [
  path: string,
  kind: TreeEntry["kind"],
  mode: number,
  uid: number,
  gid: number,
  size: number,
  mtime: string,
  linkname: string,
  attributes: string,
  content: string,
];

export function encodeIndex(index: TreeIndex): string {
  const rows: Row[] = [];
  for (const e of index.entries.values()) {
    const mtime = e.mtime.toString();
    rows.push([e.path, e.kind, e.mode, e.uid, e.gid, e.size, mtime, e.linkname, e.attributes, e.content]);
  }
  return JSON.stringify(rows);
}

/** `text` was written by `encodeIndex`. */
export function decodeIndex(text: string): TreeIndex {
  const entries = new Map<string, TreeEntry>();
  for (const [path, kind, mode, uid, gid, size, mtime, linkname, attributes, content] of JSON.parse(
    text,
  ) as Row[]) {
    const facts = { path, kind, mode, uid, gid, rdevMajor: 0, rdevMinor: 0, size, mtime: BigInt(mtime) };
    entries.set(path, { ...facts, linkname, attributes, content });
  }
  return new TreeIndex(entries);
}
