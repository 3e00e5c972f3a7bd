import { parseBoolean } from "../../base/lib/boolean.ts";
import { invalid } from "../../base/lib/errors.ts";
import { type GitRef, isCommit, parseGitRef } from "../../base/spec/dockerfile/git-ref.ts";
import type { GitSource } from "../graph.ts";
import type { BuildRequest } from "../request.ts";
import { given } from "./arguments.ts";

/** A repository as a source; undefined when the text names none. */
export function gitSource(url: string, keepGitDir: boolean | undefined): GitSource | undefined {
  const ref = parseGitRef(url);
  return ref && sourceOfGit(ref, keepGitDir, ref.checksum);
}

/** The build's own context, where it is a repository. Builds that are to come out the same have the commit's times in it. */
export function gitContext(
  url: string,
  { buildArgs }: Pick<BuildRequest, "buildArgs">,
): GitSource | undefined {
  const keep = given(buildArgs, "BUILDKIT_CONTEXT_KEEP_GIT_DIR");
  const ref = parseGitRef(url);
  if (!ref) return undefined;
  const mtime = ref.mtime ?? (given(buildArgs, "SOURCE_DATE_EPOCH") ? "commit" : undefined);
  return sourceOfGit({ ...ref, mtime }, keep === undefined ? undefined : parseBoolean(keep), ref.checksum);
}

export function sourceOfGit(
  ref: GitRef,
  keepGitDir: boolean | undefined,
  checksum: string | undefined,
): GitSource {
  return {
    kind: "git",
    remote: ref.likePath ? `https://${ref.remote}` : ref.remote,
    ref: ref.fetchByCommit ? wholeCommit(ref.ref, checksum) : ref.ref,
    subdir: ref.subdir,
    keepGitDir: ref.keepGitDir ?? keepGitDir ?? false,
    submodules: ref.submodules ?? true,
    mtime: ref.mtime ?? "checkout",
    checksum,
  };
}

/** The commit that `fetch-by-commit` believes (BuildKit, source/git). */
function wholeCommit(ref: string, checksum: string | undefined): string {
  if (isCommit(ref)) return ref;
  if (checksum === undefined) throw invalid("fetch-by-commit requires a checksum or a commit SHA ref");
  if (!isCommit(checksum))
    throw invalid(`fetch-by-commit requires a full commit SHA checksum, got ${JSON.stringify(checksum)}`);
  return checksum;
}
