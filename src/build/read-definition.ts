import { notFound, TugError } from "../base/lib/errors.ts";
import type { Platform } from "../base/spec/oci/descriptor.ts";
import { RootedDir } from "../base/sys/rooted-dir.ts";
import type { Vertex } from "./graph.ts";
import { contextArchive } from "./plan/contexts.ts";
import { definitionSource } from "./plan/definition.ts";
import type { PlanInput } from "./plan/input.ts";
import type { BuildRequest } from "./request.ts";
import type { Result } from "./result.ts";
import { isArchive } from "./run/file/unpack.ts";
import type { StepSnapshots } from "./run/runner.ts";
import type { SolveOptions, Solver } from "./solve.ts";

export interface DefinitionDeps {
  readonly solver: Solver;
  readonly snapshots: Pick<StepSnapshots, "layout">;
  readonly host: Platform;
}

/** The text that a build is described by. */
export type Definition = Pick<PlanInput, "dockerfile" | "ignore" | "httpContext">;

/** Bytes of a Dockerfile or an ignore file at most: what people write is a thousandth of that. */
const textLimit = 8 << 20;

/** Reads the Dockerfile and what belongs to it: in the client's directory, in a repository, at the end of a URL. */
export async function readDefinition(
  deps: DefinitionDeps,
  request: BuildRequest,
  options: SolveOptions,
  inputs?: PlanInput["inputs"],
): Promise<Definition> {
  const given = { host: deps.host, ...(inputs && { inputs }) };
  const source = definitionSource(request, options.session.id, given);
  const { op } = source.dockerfile;
  const remote = op.kind === "http";
  const archive = remote && (await holdsArchive(deps, source.dockerfile, options));
  const tree = archive ? contextArchive(source.dockerfile, deps.host) : source.dockerfile;
  const names = archive ? source.paths.filter((path) => path !== "context") : source.paths;
  // Both at once: each is a question to the client. Whichever fails, both have ended then.
  const [own, context] = await Promise.allSettled([
    readFrom(deps, tree, [...names, source.ignorePath, ".dockerignore"], options),
    source.ignore && readFrom(deps, source.ignore, [".dockerignore"], options),
  ]);
  const found = resultOf(own);
  const name = names.find((each) => found.has(each));
  if (name === undefined) {
    throw notFound(`failed to read dockerfile: open ${names[0] ?? "Dockerfile"}: no such file or directory`);
  }
  const beside = found.get(source.ignorePath) ?? (archive ? found.get(".dockerignore") : undefined);
  const ignored = beside ?? resultOf(context)?.get(".dockerignore");
  return {
    dockerfile: { name: name === "context" ? "Dockerfile" : name, text: found.get(name) ?? "" },
    ignore: ignored ?? "",
    ...(remote ? { httpContext: archive ? ("archive" as const) : ("dockerfile" as const) } : {}),
  };
}

function resultOf<Value>(settled: PromiseSettledResult<Value>): Value {
  if (settled.status === "rejected") throw settled.reason;
  return settled.value;
}

async function holdsArchive(deps: DefinitionDeps, vertex: Vertex, options: SolveOptions): Promise<boolean> {
  const [result] = await deps.solver.solve([vertex], options);
  using held = result;
  using root = rootOf(deps, held);
  return root !== undefined && (await isArchive(root, "context"));
}

async function readFrom(
  deps: DefinitionDeps,
  vertex: Vertex,
  names: readonly string[],
  options: SolveOptions,
): Promise<ReadonlyMap<string, string>> {
  const [result] = await deps.solver.solve([vertex], options);
  using held = result;
  return readTexts(deps, held, names);
}

/** Texts of a result's files, by name; those that are not there are left out. */
export function readTexts(
  deps: Pick<DefinitionDeps, "snapshots">,
  result: Result | undefined,
  names: readonly string[],
): ReadonlyMap<string, string> {
  using root = rootOf(deps, result);
  const texts = new Map<string, string>();
  if (!root) return texts;
  for (const name of names) {
    const text = textOf(root, name);
    if (text !== undefined) texts.set(name, text);
  }
  return texts;
}

/** A source's tree has no layers below it. Links in it lead nowhere else. */
export function rootOf(
  deps: Pick<DefinitionDeps, "snapshots">,
  result: Result | undefined,
): RootedDir | undefined {
  if (result?.snapshot === undefined) return undefined;
  const layout = deps.snapshots.layout(result.snapshot);
  return RootedDir.open(layout.kind === "tree" ? layout.tree : layout.upper);
}

function textOf(root: RootedDir, name: string): string | undefined {
  const stat = root.tryStat(`/${name}`);
  if (!stat) return undefined;
  const refused = (why: string) =>
    new TugError("invalid-argument", `failed to read dockerfile: ${name} ${why}`);
  if (stat.kind !== "file") throw refused("is not a file");
  if (stat.size > textLimit) throw refused(`has ${stat.size} bytes, more than any Dockerfile needs`);
  return root.readFile(`/${name}`, textLimit).toString("utf8");
}
