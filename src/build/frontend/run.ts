import { invalid, TugError } from "../../base/lib/errors.ts";
import type { AskedFrontend, StepStdio } from "../../base/spec/builder/builder.ts";
import { formatReference, parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import type { ImageConfig } from "../../base/spec/oci/image.ts";
import { Activity } from "../activity.ts";
import type { ExecOp } from "../graph.ts";
import { execOp } from "../plan/exec-op.ts";
import { defaultPath } from "../plan/image-draft.ts";
import { makeVertex } from "../plan/vertices.ts";
import { type PlanDeps, resolveImage } from "../plan-build.ts";
import type { StepContext } from "../run/runner.ts";
import type { SolveOptions } from "../solve.ts";
import type { FrontendPolicy } from "./allowed.ts";

export interface FrontendDeps {
  readonly planning: Pick<PlanDeps, "images" | "clock" | "host" | "solver">;
  readonly exec: { converse(step: StepContext<ExecOp>, stdio: StepStdio): Promise<void> };
  readonly frontends: FrontendPolicy;
}

/** What frontends say in their image's labels (frontend/gateway of BuildKit). */
const labels = { none: "moby.buildkit.frontend.network.none", caps: "moby.buildkit.frontend.caps" } as const;
const inputsCap = "moby.buildkit.frontend.inputs";

/**
 * Runs a frontend's image: a program that plans a build instead of us and is served over its standard input and output. It is a step like any RUN, on a
 * root that is thrown away, without entitlements and, unlike with BuildKit, without a network unless its label says that it wants one.
 */
export async function runFrontend(
  deps: FrontendDeps,
  asked: AskedFrontend,
  stdio: StepStdio,
  options: SolveOptions,
): Promise<void> {
  const { planning, exec } = deps;
  const { session, signal, progress } = options;
  const ref = withDefaultTag(parseReference(asked.source));
  deps.frontends(ref);
  const reference = formatReference(ref);
  const platform = planning.host;
  const progressName = `resolve image config for docker-image://${reference}`;
  const need = {
    key: reference,
    reference,
    platform,
    pull: false,
    store: undefined,
    progressName,
    location: undefined,
  };
  const image = await resolveImage(planning, need, options);
  if (image instanceof TugError) throw image;
  refuseMissingCaps(asked, image.config);
  if (image.config.rootfs.diff_ids.length === 0) throw invalid(`the frontend ${reference} is an empty image`);
  const source = { kind: "image", reference, image: image.image, platform } as const;
  const vertex = makeVertex(source, [], { name: `docker-image://${reference}` });
  const [root] = await planning.solver.solve([vertex], { session, signal, progress });
  using held = root;
  if (!held) throw new Error("no root for the frontend");
  const op = operationOf(asked, image.config, platform);
  const activity = new Activity(planning.clock, progress, `frontend ${reference}`);
  const log = (stream: "stdout" | "stderr", bytes: Uint8Array): void | Promise<void> =>
    progress.log({
      vertex: activity.digest,
      stream,
      bytes,
      at: BigInt(Math.trunc(planning.clock.now())) * 1_000_000n,
    });
  try {
    await exec.converse(
      {
        ...{
          vertex: makeVertex(op, [vertex], { name: `frontend ${reference}` }),
          op,
          inputs: [held],
          session,
          signal,
        },
        progress: { log, part: () => undefined },
        entitlements: [],
      },
      stdio,
    );
    activity.done();
  } catch (error) {
    activity.done(error);
    throw error;
  }
}

function operationOf(
  asked: AskedFrontend,
  { config = {} }: ImageConfig,
  platform: ExecOp["platform"],
): ExecOp {
  const env = [...(config.Env ?? [`PATH=${defaultPath}`]), ...asked.env];
  const label = config.Labels?.[labels.none];
  const network = /^(?:0|f|false)$/i.test(label ?? "") ? "default" : "none";
  return execOp({
    args: config.Entrypoint?.length ? config.Entrypoint : ["/run"],
    env,
    cwd: config.WorkingDir || "/",
    network,
    platform,
  });
}

/** What a build relies on has to be what the frontend says of itself. */
function refuseMissingCaps(asked: AskedFrontend, { config }: ImageConfig): void {
  const list = (text: string | undefined) => (text ?? "").split(",").filter((cap) => cap !== "");
  const has = new Set(list(config?.Labels?.[labels.caps]));
  const needs = [...list(asked.caps), ...(asked.hasInputs ? [inputsCap] : [])];
  const lacks = needs.find((cap) => !has.has(cap));
  if (lacks !== undefined) throw new TugError("not-implemented", `unsupported frontend capability ${lacks}`);
}
