import { TugError } from "../../base/lib/errors.ts";
import type { Vertex } from "../graph.ts";
import { inOrder } from "../in-order.ts";
import type { BuildPlan, PlannedTarget } from "../plan.ts";
import type { Result } from "../result.ts";
import { refuseLeakedSecrets, type SecretValue, secretIn } from "../run/exec/secret-scan.ts";
import type { StepSnapshots } from "../run/runner.ts";
import type { SolveOptions } from "../solve.ts";

/**
 * Fails when the value of a secret that the build's steps have is in what goes into an image: in its configuration, its history, or a layer
 * of a step that did not have it (those that did were looked through when they ran), known from the cache or not.
 */
export async function refuseSecrets(
  snapshots: Pick<StepSnapshots, "layout">,
  plan: BuildPlan,
  resultOf: (vertex: Vertex) => Result | undefined,
  { session, signal }: Pick<SolveOptions, "session" | "signal">,
): Promise<void> {
  const secrets = await secretsOf(plan, { session });
  if (secrets.length === 0) return;
  for (const { config } of plan.targets) refuseInConfig(config, secrets);
  for (const vertex of new Set(plan.targets.flatMap(({ layers }) => layers))) {
    const snapshot = resultOf(vertex)?.snapshot;
    if (snapshot !== undefined) await refuseLeakedSecrets(snapshots.layout(snapshot), secrets, signal);
  }
}

async function secretsOf(
  plan: BuildPlan,
  { session }: Pick<SolveOptions, "session">,
): Promise<readonly SecretValue[]> {
  const roots = plan.targets.flatMap(({ layers, root }) => (root ? [...layers, root] : layers));
  const ids = new Set(
    inOrder(roots).flatMap(({ op }) =>
      op.kind === "exec" ? op.mounts.flatMap((mount) => (mount.kind === "secret" ? [mount.id] : [])) : [],
    ),
  );
  const values: SecretValue[] = [];
  for (const id of ids) {
    const value = await session.secret(id);
    if (value !== undefined) values.push({ id, value });
  }
  return values;
}

function refuseInConfig(config: PlannedTarget["config"], secrets: readonly SecretValue[]): void {
  for (const { text, path } of textsOf(config, [])) {
    const id = secretIn(Buffer.from(text), secrets);
    if (id === undefined) continue;
    throw new TugError(
      "conflict",
      `secret ${id}: its value is in the image's configuration (${path}) and would be in the image for everybody who has it. ` +
        "Give it to the steps that need it with RUN --mount=type=secret, and not as ARG, ENV or LABEL",
    );
  }
}

/** Every text of a document, names of members too. */
function* textsOf(
  value: unknown,
  path: readonly string[],
): Generator<{ readonly text: string; readonly path: string }, void, undefined> {
  if (typeof value === "string") yield { text: value, path: path.join(".") };
  if (typeof value !== "object" || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    yield { text: name, path: path.join(".") };
    yield* textsOf(member, [...path, name]);
  }
}
