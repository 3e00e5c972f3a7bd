import { notFound } from "../../base/lib/errors.ts";
import type { Vertex } from "../graph.ts";
import type { BuildRequest, ContextRef } from "../request.ts";
import { gitContext, gitSource } from "./git-source.ts";
import type { PlanInput } from "./input.ts";
import { filesOf, inputNamed } from "./inputs.ts";
import { makeVertex } from "./vertices.ts";

/** Where a build's Dockerfile and ignore file are to be read. */
export interface DefinitionSource {
  /** The tree that has them. undefined: the request's context has none. */
  readonly dockerfile: Vertex;
  /** The first that is there is the Dockerfile. */
  readonly paths: readonly string[];
  /** Patterns for this Dockerfile alone, beside it; they stand in place of `.dockerignore`. */
  readonly ignorePath: string;
  /** The tree that may have `.dockerignore`; undefined for contexts that are not the client's. */
  readonly ignore: Vertex | undefined;
}

/** What has to be read before a plan can be made (`PlanInput.dockerfile`, `.ignore`). */
export function definitionSource(
  request: BuildRequest,
  session: string,
  given?: Pick<PlanInput, "host" | "inputs">,
): DefinitionSource {
  const name = request.dockerfile || "Dockerfile";
  const isDefault = /(?:^|\/)Dockerfile$/.test(name);
  const lower = name.replace(/Dockerfile$/, "dockerfile");
  const paths = isDefault ? [name, lower] : [name];
  const ignorePath = `${name}.dockerignore`;
  const from = request.dockerfileContext ?? request.context;
  const { context } = request;
  const include = [name, ignorePath, ...paths.slice(1)];
  const input = (of: ContextRef, names: readonly string[]) =>
    of.kind === "input" && given
      ? filesOf(inputNamed(given.inputs, of.name).root, names, given.host)
      : undefined;
  return {
    dockerfile: input(from, include) ?? definitionVertex(from, request, session, include),
    paths: from.kind === "http" && !gitSource(from.url, undefined) ? [...paths, "context"] : paths,
    ignorePath,
    ignore:
      context.kind === "local"
        ? localVertex(context.name, session, [".dockerignore"], "[internal] load .dockerignore")
        : input(context, [".dockerignore"]),
  };
}

function definitionVertex(
  from: ContextRef,
  request: BuildRequest,
  session: string,
  include: readonly string[],
): Vertex {
  const name = include[0] ?? "";
  switch (from.kind) {
    case "local":
      return localVertex(from.name, session, include, `[internal] load build definition from ${name}`);
    case "git":
    case "http": {
      const git = from === request.context ? gitContext(from.url, request) : gitSource(from.url, undefined);
      if (git) return makeVertex(git, [], { name: `[internal] load git source ${from.url}` });
      const op = { kind: "http", url: from.url, filename: "context", checksum: undefined } as const;
      return makeVertex(op, [], { name: "[internal] load remote build context" });
    }
    default:
      throw notFound(`failed to read dockerfile: a context of kind ${from.kind} has no ${name}`);
  }
}

function localVertex(
  name: string,
  session: string,
  include: readonly string[],
  progressName: string,
): Vertex {
  return makeVertex({ kind: "local", name, session, exclude: [], include }, [], { name: progressName });
}
