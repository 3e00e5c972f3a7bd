import type { ClassicBuildBackend } from "../../api/build/classic.ts";
import type { ClassicStep } from "../../api/build/classic-output.ts";
import { TugError } from "../../base/lib/errors.ts";
import type { Builder } from "../../base/spec/builder/builder.ts";
import { parseDockerfile } from "../../base/spec/dockerfile/parse.ts";
import type { SourceRange } from "../../base/spec/dockerfile/syntax.ts";
import { inOrder } from "../../build/in-order.ts";
import type { BuildPlan } from "../../build/plan.ts";
import { ArchiveFiles } from "../../build/run/sources/archive-files.ts";
import type { KeptTrees } from "../../build/run/sources/kept-trees.ts";
import type { BuildSession } from "../../build/session.ts";

/** The classic protocol over the builder: the body is the context, and there is nobody to ask for secrets or agents. */
export function classicBackend(deps: {
  readonly builder: Builder<BuildPlan>;
  readonly trees: KeptTrees;
}): ClassicBuildBackend {
  return {
    build: async (request, { context, credentials, signal, progress, onDefined, onSteps }) => {
      const local = request.context.kind === "local";
      using files = local ? await ArchiveFiles.receive(deps, request.id, context, signal) : undefined;
      const ended = new AbortController();
      const session: BuildSession = {
        id: request.id,
        sharedKey: "",
        signal: AbortSignal.any([signal, ended.signal]),
        files,
        secret: async () => undefined,
        hasSsh: async () => false,
        ssh: async () => {
          throw new TugError("not-found", "the classic protocol forwards no agent");
        },
        credentials: async (host) => {
          const known = credentials(host);
          if (!known) return undefined;
          const { username = "", password = "", identitytoken, registrytoken } = known;
          if (registrytoken) return { username: "", secret: "", registryToken: registrytoken };
          return identitytoken
            ? { username: "<token>", secret: identitytoken }
            : { username, secret: password };
        },
        exports: undefined,
      };
      try {
        const onPlan = (plan: BuildPlan) => onSteps(classicSteps(plan));
        const { imageId } = await deps.builder.build(request, session, {
          signal,
          progress,
          onDefinition: onDefined,
          onPlan,
        });
        return imageId ?? "";
      } finally {
        ended.abort(new TugError("cancelled", "the build has ended"));
      }
    },
  };
}

/** The Dockerfile's instructions of the stages that are needed, each with the vertices that do it. */
function classicSteps(plan: BuildPlan): readonly ClassicStep[] {
  const [file] = plan.files;
  if (!file) return [];
  const roots = plan.targets.flatMap(({ root, layers }) => (root ? [...layers, root] : layers));
  const lines = inOrder(roots).flatMap(({ location, digest }) =>
    location ? [{ ...location.range, digest }] : [],
  );
  const within = ({ start, end }: SourceRange) =>
    lines
      .filter((line) => line.start.line >= start.line && line.end.line <= end.line)
      .map(({ digest }) => digest);
  const { globalArgs, stages } = parseDockerfile(file.text);
  const targets = new Set(plan.targets.map(({ stage }) => stage));
  const needed = stages.filter(({ from, instructions }, index) => {
    const isTarget = targets.has(from.stage ?? String(index)) || targets.has(String(index));
    return isTarget || [from, ...instructions].some(({ range }) => within(range).length > 0);
  });
  const all = [...globalArgs, ...needed.flatMap(({ from, instructions }) => [from, ...instructions])];
  return all.map(({ source, range }) => ({ text: source, vertices: within(range) }));
}
