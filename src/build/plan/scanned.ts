import { parseBoolean } from "../../base/lib/boolean.ts";
import { TugError } from "../../base/lib/errors.ts";
import type { Vertex } from "../graph.ts";
import type { PlannedTarget } from "../plan.ts";
import type { PlatformPlan } from "./platform-plan.ts";
import { reachableFrom, type Stage } from "./stage.ts";

/** Stages and the context that BUILDKIT_SBOM_SCAN_STAGE and BUILDKIT_SBOM_SCAN_CONTEXT add to a bill of materials. */
export function scannedBeside(
  plan: PlatformPlan,
  stages: readonly Stage[],
  target: Stage,
  context: () => Vertex | undefined,
): NonNullable<PlannedTarget["scanned"]> {
  const asked = (stage: Stage, name: string) => {
    const own = stage.args.findLast((arg) => arg.name === name && arg.value !== undefined);
    return isNamed(stage.shownName, own?.value ?? plan.globals.get(name));
  };
  const reachable = reachableFrom(target);
  const others = stages.filter((stage) => stage !== target && reachable.has(stage) && !stage.unregistered);
  const found = others
    .filter((stage) => asked(stage, "BUILDKIT_SBOM_SCAN_STAGE"))
    .map((stage) => ({ name: stage.shownName, root: stage.root }));
  return asked(target, "BUILDKIT_SBOM_SCAN_CONTEXT")
    ? [...found, { name: "context", root: context() }]
    : found;
}

/** "true", or a list of stages. */
function isNamed(stage: string, value: string | undefined): boolean {
  if (value === undefined) return false;
  try {
    return parseBoolean(value);
  } catch (error) {
    if (error instanceof TugError) return value.split(",").includes(stage);
    throw error;
  }
}
