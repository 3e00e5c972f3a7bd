import { parseBoolean } from "../../lib/boolean.ts";
import { invalid } from "../../lib/errors.ts";
import { cleanPath } from "./ignore.ts";

/** A repository as contexts and ADD name it: "https://host/repo.git#branch:directory", "git@host:repo.git?tag=v1". */
export interface GitRef {
  /** Without fragment and query. */
  readonly remote: string;
  /** "" is the remote's HEAD. */
  readonly ref: string;
  /** "" is the root. */
  readonly subdir: string;
  readonly checksum: string | undefined;
  readonly keepGitDir: boolean | undefined;
  readonly submodules: boolean | undefined;
  /** Times of the files: of the checkout (the default), or of the commit. */
  readonly mtime: "checkout" | "commit" | undefined;
  /** The checksum is a whole commit and believed: the remote is not asked what the ref means now. */
  readonly fetchByCommit: boolean;
  /** "github.com/a/b" could be a path as well: only contexts may be written so. */
  readonly likePath: boolean;
}

/** A whole commit id, of SHA-1 or of SHA-256. */
export function isCommit(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}

/** undefined: it names no repository. Throws invalid-argument for a query that means nothing. */
export function parseGitRef(text: string): GitRef | undefined {
  if (text.startsWith("./") || text.startsWith("../")) return undefined;
  const likePath = text.startsWith("github.com/");
  const match = /^([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(text);
  const remote = match?.[1] ?? "";
  if (!likePath && !isRepository(remote)) return undefined;
  const fragment = match?.[3] ?? "";
  const colon = fragment.indexOf(":");
  const subdir = colon < 0 ? "" : innerPath(fragment.slice(colon + 1));
  const plain: GitRef = {
    remote,
    ref: colon < 0 ? fragment : fragment.slice(0, colon),
    subdir,
    checksum: undefined,
    keepGitDir: undefined,
    submodules: undefined,
    mtime: undefined,
    fetchByCommit: false,
    likePath,
  };
  return readQuery(plain, match?.[2] ?? "");
}

/** A directory of the repository. What would lead out of it is refused, not bent (CVE-2026-33747 and its like). */
function innerPath(path: string): string {
  const clean = cleanPath(path.replace(/^\/+/, ""));
  if (clean === ".." || clean.startsWith("../"))
    throw invalid(`invalid subdir ${JSON.stringify(path)}: it leads out of the repository`);
  return clean === "." ? "" : clean;
}

function isRepository(remote: string): boolean {
  const scheme = /^([a-zA-Z0-9]+):\/\//.exec(remote)?.[1]?.toLowerCase();
  if (scheme === "http" || scheme === "https") return /^[^/]*\/\/[^/]+\/.*\.git$/s.test(remote);
  if (scheme === "ssh" || scheme === "git") return URL.canParse(remote);
  return scheme === undefined && /^[a-zA-Z0-9_-]+@[a-zA-Z0-9.-]+:/.test(remote);
}

function readQuery(start: GitRef, query: string): GitRef {
  let ref = start;
  const parameters = new URLSearchParams(query);
  for (const key of new Set(parameters.keys())) {
    const values = parameters.getAll(key);
    const [value = ""] = values;
    const quoted = JSON.stringify(key);
    if (values.length > 1) throw invalid(`query ${quoted} has multiple values`);
    const isSwitch = key === "submodules" || key === "keep-git-dir" || key === "fetch-by-commit";
    if (value === "" && !isSwitch) throw invalid(`query ${quoted} has no value`);
    ref = withParameter(ref, key, value);
  }
  if (parameters.has("tag") && parameters.has("branch")) throw invalid("branch conflicts with tag");
  return ref;
}

function withParameter(ref: GitRef, key: string, value: string): GitRef {
  const full = (prefix: string) => (value.startsWith(prefix) ? value : prefix + value);
  switch (key) {
    case "ref":
      return { ...ref, ref: agreed("ref", ref.ref, value) };
    case "tag":
      return { ...ref, ref: agreed("ref", ref.ref, full("refs/tags/")) };
    case "branch":
      return { ...ref, ref: agreed("ref", ref.ref, full("refs/heads/")) };
    case "subdir":
      return { ...ref, subdir: agreed("subdir", ref.subdir, innerPath(value)) };
    case "checksum":
    case "commit":
      return { ...ref, checksum: value };
    case "keep-git-dir":
      return { ...ref, keepGitDir: boolean(key, value) };
    case "submodules":
      return { ...ref, submodules: boolean(key, value) };
    case "fetch-by-commit":
      return { ...ref, fetchByCommit: boolean(key, value) };
    case "mtime":
      if (value === "checkout" || value === "commit") return { ...ref, mtime: value };
      throw invalid(`invalid mtime value: ${JSON.stringify(value)} (must be "checkout" or "commit")`);
    default:
      throw invalid(`unexpected query ${JSON.stringify(key)}`);
  }
}

function agreed(what: string, before: string, now: string): string {
  if (before === "" || before === now) return now;
  throw invalid(`${what} conflicts: ${JSON.stringify(before)} vs ${JSON.stringify(now)}`);
}

function boolean(key: string, value: string): boolean {
  if (value === "") return true;
  try {
    return parseBoolean(value);
  } catch (error) {
    throw invalid(`invalid ${key} value: ${JSON.stringify(value)}`, error);
  }
}
