import { walkTree } from "../base/sys/walk.ts";
import type { Vertex } from "./graph.ts";
import { contextArchive } from "./plan/contexts.ts";
import { epochSource } from "./plan/epoch.ts";
import { withSource } from "./plan-build.ts";
import { type Definition, type DefinitionDeps, rootOf } from "./read-definition.ts";
import type { BuildRequest } from "./request.ts";
import { isArchive } from "./run/file/unpack.ts";
import type { SolveOptions } from "./solve.ts";

/** The request with SOURCE_DATE_EPOCH as seconds, wherever it comes from; without it when what it names tells no time. */
export async function withEpoch(
  deps: DefinitionDeps,
  request: BuildRequest,
  definition: Definition,
  options: SolveOptions,
): Promise<BuildRequest> {
  const source = withSource(definition, () => epochSource({ request, host: deps.host, ...definition }));
  const epoch = source.kind === "seconds" ? source.seconds : await timeOf(deps, source, options);
  const asked = Object.hasOwn(request.buildArgs, "SOURCE_DATE_EPOCH") || source.kind === "source";
  if (!asked) return { ...request, epoch };
  const buildArgs = { ...request.buildArgs, SOURCE_DATE_EPOCH: epoch === undefined ? "" : String(epoch) };
  return { ...request, epoch, buildArgs };
}

async function timeOf(
  deps: DefinitionDeps,
  { vertex, git }: { readonly vertex: Vertex; readonly git: boolean },
  options: SolveOptions,
): Promise<number | undefined> {
  const [result] = await deps.solver.solve([vertex], options);
  using held = result;
  using root = rootOf(deps, held);
  if (!root) return undefined;
  // Everything in it is as old as its commit.
  if (git) return seconds(root.stat("/").mtime);
  const [file] = root.readdir("/");
  if (!file) return undefined;
  const { mtime } = root.stat(`/${file.name}`);
  // 0: the server did not say.
  if (mtime !== 0n) return seconds(mtime);
  if (!(await isArchive(root, file.name))) return undefined;
  return await newestOf(deps, contextArchive(vertex, deps.host, file.name), options);
}

/** Of the regular files in an archive. */
async function newestOf(
  deps: DefinitionDeps,
  archive: Vertex,
  options: SolveOptions,
): Promise<number | undefined> {
  const [result] = await deps.solver.solve([archive], options);
  using held = result;
  using root = rootOf(deps, held);
  if (!root) return undefined;
  let newest: bigint | undefined;
  for (const { stat } of walkTree(root.fd))
    if (stat.kind === "file" && (newest === undefined || stat.mtime > newest)) newest = stat.mtime;
  return newest === undefined ? undefined : seconds(newest);
}

const seconds = (nanos: bigint) => Number(nanos / 1_000_000_000n);
