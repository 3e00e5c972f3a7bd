import { TugError } from "../../../base/lib/errors.ts";
import type { FileOp, Vertex } from "../../graph.ts";
import { inOrder } from "../../in-order.ts";
import type { BuildPlan } from "../../plan.ts";
import type { BuildRequest } from "../../request.ts";
import { planOf } from "./plans.ts";
import { printPlan } from "./print-plan.ts";

/** What tests look at in plans. */

export const arm64 = { os: "linux", architecture: "arm64" } as const;

export function first<T>(list: readonly T[]): T {
  const [one] = list;
  if (one === undefined) throw new Error("nothing is there");
  return one;
}

export const target = (plan: BuildPlan) => first(plan.targets);
export const vertices = (plan: BuildPlan): readonly Vertex[] =>
  inOrder(plan.targets.flatMap((one) => (one.root ? [one.root] : [])));
export const names = (plan: BuildPlan) => vertices(plan).map((vertex) => vertex.name);
/** The step whose name has `part` in it. */
export const named = (plan: BuildPlan, part: string): Vertex => {
  const found = vertices(plan).find((vertex) => vertex.name.includes(part));
  if (!found) throw new Error(`no ${part} in\n${printPlan(plan)}`);
  return found;
};
/** A step's operation, which must be of that kind. */
export const op = <K extends Vertex["op"]["kind"]>(vertex: Vertex, kind: K) => {
  if (vertex.op.kind !== kind) throw new Error(`${vertex.name} is ${vertex.op.kind}`);
  return vertex.op as Vertex["op"] & { readonly kind: K };
};
/** The RUN of a Dockerfile with one. */
export const exec = (text: string, request: Partial<BuildRequest> = {}) =>
  op(named(planOf(text, request), "RUN"), "exec");
/** The last step with `part` in its name, which writes files. */
export const file = (text: string, request: Partial<BuildRequest> = {}, part = "] "): FileOp => {
  const plan = planOf(text, request);
  return op(vertices(plan).findLast((vertex) => vertex.name.includes(part)) ?? named(plan, part), "file");
};
/** Why a Dockerfile cannot be planned. */
export const failure = (text: string, request: Partial<BuildRequest> = {}): TugError => {
  try {
    planOf(text, request);
  } catch (error) {
    if (error instanceof TugError) return error;
    throw error;
  }
  throw new Error("it was planned");
};
