import { existsSync, realpathSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseBoolean } from "../../base/lib/boolean.ts";
import { messageOf } from "../../base/lib/errors.ts";
import { redactUrl } from "../../base/lib/redact-url.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface GitQuestion {
  /** The context's directory. */
  readonly context: string;
  /** Path of the Dockerfile, wherever it lies. */
  readonly dockerfile: string;
  /** Directories that the builder may read, by the names that it knows them by. */
  readonly directories: Readonly<Record<string, { readonly path: string }>>;
  /** A provenance is asked for: it tells the commit. */
  readonly provenance: boolean;
  readonly env: Environment;
}

export interface GitAnswer {
  /** Of the frontend: "vcs:…" for the provenance, "label:…" for the image. */
  readonly attrs: Readonly<Record<string, string>>;
  /** Why nothing can be told of a repository that is there; "" otherwise. */
  readonly problem: string;
}

const nothing: GitAnswer = { attrs: {}, problem: "" };

/**
 * What the repository says that a context lies in: its commit and where it comes from. As buildx (build/git.go), and by its variables:
 * BUILDX_GIT_INFO (on unless told), BUILDX_GIT_LABELS, BUILDX_GIT_CHECK_DIRTY. Where nobody would be told, git is not asked.
 */
export async function gitAttributes(question: GitQuestion): Promise<GitAnswer> {
  const { context, env } = question;
  const labels = env["BUILDX_GIT_LABELS"] === "full" || isSet(env["BUILDX_GIT_LABELS"], false);
  const info = question.provenance && isSet(env["BUILDX_GIT_INFO"], true);
  if (!labels && !info) return nothing;
  const git = new Git(context, env);
  try {
    const inside = await git.lines("rev-parse", "--is-inside-work-tree", "--show-toplevel");
    if (inside[0] !== "true" || inside[1] === undefined) return nothing;
    const root = realpathSync(inside[1]);
    const [revision, source] = await Promise.all([
      revisionOf(git, isSet(env["BUILDX_GIT_CHECK_DIRTY"], false)),
      sourceOf(git),
    ]);
    const directories = Object.entries(question.directories).map(([name, { path }]) => [
      `vcs:localdir:${name}`,
      within(root, path),
    ]);
    const attrs: Readonly<Record<string, string | undefined>> = {
      ...(labels && {
        "label:org.opencontainers.image.revision": revision,
        "label:org.opencontainers.image.source": source,
        "label:com.docker.image.source.entrypoint": within(root, question.dockerfile),
      }),
      ...(info && { "vcs:revision": revision, "vcs:source": source, ...Object.fromEntries(directories) }),
    };
    const known = Object.entries(attrs).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    );
    return { attrs: Object.fromEntries(known), problem: "" };
  } catch (error) {
    // Nobody expects anything where no repository is.
    return existsSync(join(context, ".git")) ? { attrs: {}, problem: messageOf(error) } : nothing;
  }
}

function isSet(text: string | undefined, fallback: boolean): boolean {
  try {
    return text === undefined ? fallback : parseBoolean(text);
  } catch {
    return fallback; // as buildx takes what is no boolean
  }
}

/** undefined: the repository has no commit yet. */
async function revisionOf(git: Git, checkDirty: boolean): Promise<string | undefined> {
  const [commit] = await git.lines("rev-parse", "--verify", "--quiet", "HEAD").catch(() => []);
  if (commit === undefined || !checkDirty) return commit;
  const changed = await git.lines("--no-optional-locks", "status", "--porcelain", "--ignored");
  return changed.length > 0 ? `${commit}-dirty` : commit;
}

/** Of the remote that the branch follows, of "origin", of "upstream": the first that has an address. */
async function sourceOf(git: Git): Promise<string | undefined> {
  const [branch] = await git.lines("symbolic-ref", "--quiet", "HEAD").catch(() => []);
  const follows =
    branch === undefined ? [] : git.lines("for-each-ref", "--format=%(upstream:remotename)", branch);
  for (const remote of [...(await follows), "origin", "upstream"]) {
    const [url] = remote === "" ? [] : await git.lines("remote", "get-url", remote).catch(() => []);
    if (url !== undefined) return redactUrl(url);
  }
  return undefined;
}

/** Relative to the root, "." for itself; undefined: it does not lie in there. */
function within(root: string, path: string): string | undefined {
  const real = existsSync(path) ? realpathSync(path) : resolve(path);
  const inner = relative(root, real);
  return inner === ".." || inner.startsWith("../") ? undefined : inner || ".";
}

class Git {
  readonly #directory: string;
  readonly #env: Environment;

  constructor(directory: string, env: Environment) {
    this.#directory = directory;
    this.#env = env;
  }

  /** Throws what git said when it fails, or that there is none. */
  async lines(...args: readonly string[]): Promise<readonly string[]> {
    const child = Bun.spawn(["git", ...args], {
      cwd: this.#directory,
      env: { ...this.#env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, said, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (code !== 0) throw new Error(said.trim() || `git ${args[0]}: exit status ${code}`);
    return out.split("\n").filter((line) => line !== "");
  }
}
