import { TugError } from "../../base/lib/errors.ts";
import type { Definition } from "../../base/spec/buildkit/pb.gen.ts";
import type { LoadedInput } from "../plan/inputs.ts";
import type { ResolvedImage } from "../plan.ts";
import { type PlanDeps, resolveImage } from "../plan-build.ts";
import type { BuildRequest } from "../request.ts";
import type { BuildSession } from "../session.ts";
import type { SolveOptions } from "../solve.ts";
import { decodeDefinition } from "./decode.ts";
import { type HandedOut, handedPrefix } from "./handed-out.ts";
import { translateDefinition } from "./translate.ts";
import { layersOf } from "./tree.ts";

export type LoadDeps = Pick<PlanDeps, "images" | "clock" | "host"> & {
  readonly handed: Pick<HandedOut, "find">;
};

/** Definitions that one request brings at most. */
const maxInputs = 1_000;

/** What a client's definitions mean: images are asked for as many times as something is not known yet. */
export class DefinitionLoader {
  readonly #deps: LoadDeps;
  readonly #request: BuildRequest;
  readonly #options: SolveOptions;
  readonly #images = new Map<string, ResolvedImage | TugError>();
  readonly #lenders: ReadonlySet<string>;

  constructor(
    deps: LoadDeps,
    request: BuildRequest,
    options: SolveOptions,
    lenders: readonly BuildSession[],
  ) {
    this.#deps = deps;
    this.#request = request;
    this.#options = options;
    this.#lenders = new Set(lenders.map(({ id }) => id));
  }

  async load(definition: Definition): Promise<LoadedInput> {
    const { handed, host } = this.#deps;
    for (;;) {
      this.#options.signal.throwIfAborted();
      const answer = translateDefinition(definition, {
        session: this.#options.session.id,
        lenders: this.#lenders,
        host: this.#request.platforms[0] ?? host,
        pull: this.#request.pull,
        images: this.#images,
        handed: (identifier) => handed.find(identifier),
      });
      if (answer.kind === "translated") {
        const { tree } = answer;
        return { root: tree.vertex, base: tree.base, layers: layersOf(tree) };
      }
      await Promise.all(
        answer.images.map(async (need) =>
          this.#images.set(need.key, await resolveImage(this.#deps, need, this.#options)),
        ),
      );
    }
  }
}

/** Clients of earlier builds whose results a request builds on: their steps may need what those lend. */
export function lendersOf(request: BuildRequest, handed: Pick<HandedOut, "find">): readonly BuildSession[] {
  const definitions = Object.values(request.inputs ?? {});
  if (definitions.length > maxInputs)
    throw new TugError(
      "invalid-argument",
      `a build with ${definitions.length} inputs: ${maxInputs} are allowed`,
    );
  const sessions = new Set<BuildSession>();
  for (const definition of [...definitions, ...(request.definition ? [request.definition] : [])]) {
    for (const { op } of decodeDefinition(definition).ops) {
      const identifier = op.source?.identifier ?? "";
      if (identifier.startsWith(handedPrefix)) sessions.add(handed.find(identifier).session);
    }
  }
  return [...sessions];
}
