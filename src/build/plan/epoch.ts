import { invalid } from "../../base/lib/errors.ts";
import { parseDigest } from "../../base/spec/docker/reference.ts";
import { located } from "../../base/spec/dockerfile/error.ts";
import { parseGitRef } from "../../base/spec/dockerfile/git-ref.ts";
import { parseDockerfile } from "../../base/spec/dockerfile/parse.ts";
import type { CopyInstruction, Dockerfile, Stage } from "../../base/spec/dockerfile/syntax.ts";
import { expand } from "../../base/spec/dockerfile/words.ts";
import { normalizePlatform } from "../../base/spec/oci/platform.ts";
import type { GitSource, HttpSource, Vertex } from "../graph.ts";
import type { BuildRequest, ContextRef } from "../request.ts";
import { given, globalArgs, predefinedArgs } from "./arguments.ts";
import { gitContext, sourceOfGit } from "./git-source.ts";
import type { PlanInput } from "./input.ts";
import { fileOfUrl } from "./instructions/copy.ts";
import { makeVertex } from "./vertices.ts";

/** What SOURCE_DATE_EPOCH says. */
export type EpochSource =
  | { readonly kind: "seconds"; readonly seconds: number | undefined }
  /** The time of a repository's commit, of a download, or of the newest file in an archive that was downloaded. */
  | { readonly kind: "source"; readonly vertex: Vertex; readonly git: boolean };

const none: EpochSource = { kind: "seconds", seconds: undefined };

/**
 * SOURCE_DATE_EPOCH of a build argument or of an ARG before the first FROM: seconds, "context", a named context, or a stage that is
 * nothing but one remote ADD (BuildKit, docs/build-repro.md). Throws invalid-argument for anything else.
 */
export function epochSource(input: Pick<PlanInput, "request" | "host" | "dockerfile">): EpochSource {
  const { request, host } = input;
  const { epoch, buildArgs } = request;
  if (epoch !== undefined) return { kind: "seconds", seconds: epoch };
  const argument = given(buildArgs, "SOURCE_DATE_EPOCH");
  // Most builds say nothing of it: what is wrong with their Dockerfile is the planner's to tell.
  if (argument === undefined && !input.dockerfile.text.includes("SOURCE_DATE_EPOCH")) return none;
  const file = parseDockerfile(input.dockerfile.text);
  const target = normalizePlatform(request.platforms[0] ?? host);
  const { variables } = globalArgs(file, predefinedArgs(host, target, request.target, buildArgs), buildArgs);
  const text = argument ?? variables.get("SOURCE_DATE_EPOCH") ?? "";
  if (text === "") return none;
  if (/^[+-]?\d{1,15}$/.test(text)) return { kind: "seconds", seconds: Number(text) };
  if (text === "context") return ofContext(request.context, request, "main build context");
  const named = given(request.namedContexts, text);
  if (named) return ofContext(named, request, `named context ${text}`);
  const stage = file.stages.find(({ from }) => from.stage === text.toLowerCase());
  if (!stage) throw invalid(`invalid SOURCE_DATE_EPOCH: ${text}`);
  variables.delete("SOURCE_DATE_EPOCH");
  return located(stage.from.range, () => ofStage(file, stage, variables, request));
}

/** Directories of the client's and images tell no time. */
function ofContext(ref: ContextRef, request: BuildRequest, what: string): EpochSource {
  if (ref.kind !== "git" && ref.kind !== "http") return none;
  const git = gitContext(ref.url, request);
  if (git) return source({ ...git, mtime: "commit" }, what);
  return source({ kind: "http", url: ref.url, filename: "context", checksum: undefined }, what);
}

function source(op: GitSource | HttpSource, what: string): EpochSource {
  const name = `[internal] resolve SOURCE_DATE_EPOCH of ${what}`;
  return { kind: "source", vertex: makeVertex(op, [], { name }), git: op.kind === "git" };
}

function ofStage(
  file: Dockerfile,
  { from, instructions }: Stage,
  variables: Map<string, string>,
  { buildArgs }: BuildRequest,
): EpochSource {
  const word = (text: string) => expand(text, variables, { escape: file.escape }).text;
  const one = "SOURCE_DATE_EPOCH stage must contain exactly one remote ADD";
  if (word(from.base) !== "scratch") throw invalid("SOURCE_DATE_EPOCH stage must use FROM scratch");
  let found: EpochSource | undefined;
  for (const instruction of instructions) {
    if (instruction.kind === "ARG") {
      for (const { name, value } of instruction.args) {
        const known = given(buildArgs, name) ?? (value === undefined ? undefined : word(value));
        if (known !== undefined) variables.set(name, known);
      }
    } else if (instruction.kind === "ADD") {
      if (found) throw invalid(one);
      found = ofAdd(instruction, word, from.stage ?? "");
    } else
      throw invalid(
        `SOURCE_DATE_EPOCH stage does not meet source-only requirements: unsupported ${instruction.kind} instruction`,
      );
  }
  if (!found) throw invalid(one);
  return found;
}

function ofAdd(add: CopyInstruction, word: (text: string) => string, stage: string): EpochSource {
  const [only, ...more] = add.sources;
  if (only === undefined || more.length > 0 || add.documents.length > 0)
    throw invalid("SOURCE_DATE_EPOCH stage must contain exactly one remote ADD source");
  const text = word(only);
  const checksum = add.checksum === "" ? undefined : word(add.checksum);
  const git = parseGitRef(text);
  if (git && !git.likePath) {
    const op = sourceOfGit(git, add.keepGitDir, checksum ?? git.checksum);
    return source({ ...op, mtime: "commit" }, `stage ${stage}`);
  }
  if (!/^https?:\/\//.test(text))
    throw invalid("SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD");
  const digest = checksum === undefined ? undefined : parseDigest(checksum);
  return source({ kind: "http", url: text, filename: fileOfUrl(text), checksum: digest }, `stage ${stage}`);
}
