import { existsSync, mkdirSync, readdirSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../base/lib/clock.ts";
import { invalid } from "../../../base/lib/errors.ts";
import { type ChainId, type Digest, randomId } from "../../../base/lib/ids.ts";
import type { Log } from "../../../base/lib/log.ts";
import { KeyedMutex } from "../../../base/lib/mutex.ts";
import { redactUrl } from "../../../base/lib/redact-url.ts";
import { isCommit } from "../../../base/spec/dockerfile/git-ref.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import { removeDirectory } from "../../../base/sys/remove-tree.ts";
import { measureTree } from "../../../core/snapshot/measure.ts";
import type { GitSource } from "../../graph.ts";
import { forwardAgent } from "../agent-socket.ts";
import { inTurn } from "../in-turn.ts";
import type { SourceRunner, StepContext, StepSnapshots } from "../runner.ts";
import { checkoutCommit, objectFormat } from "./git-checkout.ts";
import { type GitAccess, GitCommand, type GitRun } from "./git-command.ts";
import { authorizationFor, checkRemote, findRef, withoutSecrets } from "./git-remote.ts";

export interface GitRunnerDeps {
  /** A directory of its own below the data root. */
  readonly root: string;
  readonly snapshots: StepSnapshots;
  readonly clock: Clock;
  readonly log: Log;
}

export interface KeptRepository {
  readonly id: string;
  readonly description: string;
  readonly bytes: number;
  readonly lastUsed: number;
  readonly inUse: boolean;
}

interface Wanted {
  readonly commit: string;
  /** As the remote names it; "" when only the commit is known. */
  readonly name: string;
  /** The object of an annotated tag: a checksum may be of that as well. */
  readonly tag?: string;
}

/** Repositories of the network: bare ones are kept and shared by all builds of a remote, a tree is made of one commit. */
export class GitRunner implements SourceRunner<GitSource> {
  readonly #deps: GitRunnerDeps;
  readonly #git: GitCommand;
  /** By repository. */
  readonly #locks = new KeyedMutex();
  /** Repositories that steps read or wait for. */
  readonly #readers = new Map<string, number>();
  /** What a step of a session resolved to: key and snapshot mean the same commit. */
  readonly #told = new WeakMap<AbortSignal, Map<string, Wanted>>();

  constructor(deps: GitRunnerDeps) {
    this.#deps = deps;
    mkdirSync(join(deps.root, "repositories"), { recursive: true, mode: 0o700 });
    this.#git = new GitCommand({ root: deps.root });
  }

  async key(step: StepContext<GitSource>): Promise<Digest> {
    const { commit } = await this.#resolve(step);
    step.pinned?.({ [commit.length === 64 ? "sha256" : "sha1"]: commit });
    const { subdir, keepGitDir, remote, submodules, mtime } = step.op;
    const with_ = keepGitDir ? withoutSecrets(remote) : "";
    return digestOf(JSON.stringify(["git", commit, cleanSubdir(subdir), with_, submodules, mtime]));
  }

  async snapshot(step: StepContext<GitSource>): Promise<ChainId> {
    const wanted = await this.#resolve(step);
    const { op, signal, progress } = step;
    const onText = (bytes: Uint8Array) => progress.log("stderr", bytes);
    const id = repositoryId(op.remote, wanted.commit);
    using _reading = this.#read(id);
    return await inTurn(this.#locks, id, signal, () =>
      this.#withAccess(step, async (access) => {
        const repository = await this.#fetch(op.remote, wanted, { signal, access, onText });
        const time = op.mtime === "commit" ? await this.#commitTime(repository, wanted, signal) : undefined;
        return await this.#deps.snapshots.make(undefined, async ({ layout }) => {
          await checkoutCommit(this.#git, {
            repository,
            commit: wanted.commit,
            remote: withoutSecrets(op.remote),
            into: layout.kind === "overlay" ? layout.upper : layout.tree,
            subdir: cleanSubdir(op.subdir),
            keepGitDir: op.keepGitDir,
            submodules: op.submodules,
            time,
            run: { signal, access, onText },
          });
        });
      }),
    );
  }

  async list(): Promise<KeptRepository[]> {
    const root = join(this.#deps.root, "repositories");
    return await Promise.all(
      readdirSync(root).map(async (id) => {
        const { bytes } = await measureTree(join(root, id));
        return {
          id,
          description: "shared git repository",
          bytes,
          lastUsed: statSync(join(root, id)).mtimeMs,
          inUse: this.#readers.has(id),
        };
      }),
    );
  }

  /** False while a step reads it, and when there is none of that name. */
  async remove(id: string): Promise<boolean> {
    const path = join(this.#deps.root, "repositories", id);
    if (!/^[0-9a-f]{64}$/.test(id) || !existsSync(path) || this.#readers.has(id)) return false;
    await this.#locks.run(id, () => removeDirectory(path));
    return true;
  }

  #read(id: string): Disposable {
    this.#readers.set(id, (this.#readers.get(id) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (this.#readers.get(id) ?? 1) - 1;
        if (left === 0) this.#readers.delete(id);
        else this.#readers.set(id, left);
      },
    };
  }

  async #resolve(step: StepContext<GitSource>): Promise<Wanted> {
    const session = step.session.signal;
    const known = this.#told.get(session)?.get(step.vertex.digest);
    if (known) return known;
    const wanted = await this.#ask(step);
    checkSum(step.op.checksum, wanted);
    const told = this.#told.get(session) ?? new Map<string, Wanted>();
    this.#told.set(session, told.set(step.vertex.digest, wanted));
    return wanted;
  }

  async #ask(step: StepContext<GitSource>): Promise<Wanted> {
    const { remote, ref } = step.op;
    checkRemote(remote, ref);
    if (isCommit(ref)) return { commit: ref, name: "" };
    const patterns = ref === "" ? ["HEAD"] : [ref, `${ref}^{}`];
    const listing = await this.#withAccess(step, (access) =>
      this.#git.run(["ls-remote", "--", remote, ...patterns], { signal: step.signal, access }),
    );
    const found = findRef(listing, ref);
    if (!found) throw invalid(`repository does not contain ref ${ref === "" ? "HEAD" : ref}`);
    const { sha, name, tag } = found;
    return { commit: sha, name, ...(tag !== undefined && { tag }) };
  }

  /** The bare repository of a remote with that commit in it; as little of its history as the server lets us have. */
  async #fetch(remote: string, wanted: Wanted, run: GitRun): Promise<string> {
    const repository = join(this.#deps.root, "repositories", repositoryId(remote, wanted.commit));
    const at = ["--git-dir", repository];
    if (!existsSync(join(repository, "HEAD"))) {
      await removeDirectory(repository);
      await this.#git.run(["init", "--quiet", "--bare", ...objectFormat(wanted.commit), repository], {
        signal: run.signal,
      });
      await this.#git.run([...at, "config", "uploadpack.allowAnySHA1InWant", "true"], { signal: run.signal });
    }
    const now = this.#deps.clock.now() / 1000;
    utimesSync(repository, now, now);
    if (await this.#has(at, wanted.commit, run)) return repository;
    // A fetch that was killed leaves it.
    await removeDirectory(join(repository, "shallow.lock"));
    const shallow = ["fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head"];
    const keep = `refs/tug/${wanted.commit}`;
    const ways = [
      [...shallow, "--", remote, `+${wanted.commit}:${keep}`],
      ...(wanted.name === "" ? [] : [[...shallow, "--", remote, `+${wanted.name}:${keep}`]]),
      // A server that gives no commit by its name: everything, then.
      [
        "fetch",
        "--quiet",
        "--no-write-fetch-head",
        "--",
        remote,
        "+refs/heads/*:refs/tug/all/*",
        "+refs/tags/*:refs/tags/*",
      ],
    ];
    let refusal: unknown;
    for (const way of ways) {
      try {
        await this.#git.run([...at, ...way], run);
        if (await this.#has(at, wanted.commit, run)) return repository;
      } catch (error) {
        run.signal.throwIfAborted();
        refusal = error;
      }
    }
    const why = refusal instanceof Error ? refusal.message : `it does not have the commit ${wanted.commit}`;
    throw invalid(`failed to fetch remote ${redactUrl(remote)}: ${why}`, refusal);
  }

  /** When it was committed, nanoseconds. */
  async #commitTime(repository: string, { commit }: Wanted, signal: AbortSignal): Promise<bigint> {
    const args = ["--git-dir", repository, "log", "-1", "--format=%ct", `${commit}^{commit}`];
    return BigInt((await this.#git.run(args, { signal })).trim()) * 1_000_000_000n;
  }

  async #has(at: readonly string[], commit: string, run: GitRun): Promise<boolean> {
    try {
      await this.#git.run([...at, "rev-parse", "--verify", "--quiet", `${commit}^{tree}`], {
        signal: run.signal,
      });
      return true;
    } catch (error) {
      run.signal.throwIfAborted();
      if (error instanceof Error) return false;
      throw error;
    }
  }

  async #withAccess<R>(step: StepContext<GitSource>, use: (access: GitAccess) => Promise<R>): Promise<R> {
    const { op, session } = step;
    const authorization = await authorizationFor(op.remote, session);
    const ssh = !/^(?:https?|git):/.test(op.remote);
    if (!ssh || !(await session.hasSsh("default"))) return await use({ authorization, agent: undefined });
    const directory = join(this.#deps.root, `agent-${randomId().slice(0, 12)}`);
    mkdirSync(directory, { mode: 0o700 });
    try {
      const name = "agent.sock";
      await using _agent = await forwardAgent({ session, log: this.#deps.log }, "default", {
        directory,
        name,
      });
      return await use({ authorization, agent: join(directory, name) });
    } finally {
      await removeDirectory(directory);
    }
  }
}

/** A repository has one kind of ids. */
function repositoryId(remote: string, commit: string): string {
  return digestOf(commit.length === 64 ? `sha256 ${remote}` : remote).slice("sha256:".length);
}

function checkSum(checksum: string | undefined, { commit, tag }: Wanted): void {
  if (checksum === undefined) return;
  if (!/^[0-9a-fA-F]+$/.test(checksum))
    throw invalid(`invalid checksum ${checksum} for Git URL, expected hex commit hash`);
  const known = [commit, ...(tag === undefined ? [] : [tag])];
  if (!known.some((id) => id.startsWith(checksum.toLowerCase())))
    throw invalid(`expected checksum to match ${checksum}, got ${known.join(" or ")}`);
}

/** Components below the root of the work tree. Throws invalid-argument for one that leads out of it (CVE-2026-33748). */
function cleanSubdir(subdir: string): string {
  const parts = subdir.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..") || subdir.includes("\0"))
    throw invalid(`invalid subdirectory ${JSON.stringify(subdir)}: it leads out of the repository`);
  return parts.join("/");
}
