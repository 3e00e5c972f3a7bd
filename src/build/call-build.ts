import type { Builder } from "../base/spec/builder/builder.ts";
import { withEpoch } from "./epoch.ts";
import { checkBuild, listTargets, outlineBuild } from "./plan/calls/calls.ts";
import type { PlanInput } from "./plan/input.ts";
import { untilPlanned } from "./plan-build.ts";
import { type PlanRequestDeps, readRequest } from "./plan-request.ts";

/** `--call`: what a Dockerfile says of itself. Nothing of it runs. */
export function callBuild(deps: PlanRequestDeps): Builder["call"] {
  return async (method, request, session, { signal, progress }) => {
    const options = { session, progress, signal: AbortSignal.any([signal, session.signal]) };
    const definition = await readRequest(deps, request, options);
    if (method === "targets") return files(listTargets(definition.dockerfile));
    const ask = (input: PlanInput) => (method === "check" ? checkBuild(input) : outlineBuild(input));
    const timed = await withEpoch(deps, request, definition, options);
    return files(await untilPlanned(deps, ask, timed, definition, options));
  };
}

function files(result: ReturnType<typeof checkBuild>): Readonly<Record<string, Uint8Array>> {
  if (result.kind !== "result") throw new Error(`the planner answered with ${result.kind}`);
  return result.files;
}
