import { describe, expect, test } from "bun:test";
import type { DockerfileError } from "../../base/spec/dockerfile/error.ts";
import { failure, named, names, op, target } from "./testdata/looks.ts";
import { planOf } from "./testdata/plans.ts";
import { printPlan } from "./testdata/print-plan.ts";

describe("Stages", () => {
  const text =
    "FROM base AS one\nRUN a\nFROM base AS unused\nRUN b\nFROM one\nCOPY --from=one /x /y\nCOPY --from=0 /x /z\nCOPY --from=other:1 /q /";

  test("that nobody needs are not in the plan, and steps are counted for those that are", () => {
    const plan = planOf(text);
    expect(names(plan).map((name) => name.replace(/sha256:.*/, "…"))).toEqual([
      "[one 1/2] FROM docker.io/library/base:latest@…",
      "[one 2/2] RUN a",
      "[stage-2 1/3] COPY --from=one /x /y",
      "[stage-2 2/3] COPY --from=0 /x /z",
      "FROM docker.io/library/other:1@…",
      "[stage-2 3/3] COPY --from=other:1 /q /",
    ]);
    expect(printPlan(plan)).toContain("\nlinux/amd64 2: root #6, layers #2 #3 #4 #6\n");
  });

  test("are chosen by target, whatever its case", () => {
    const plan = planOf(text, { target: "UNUSED" });
    expect([target(plan).stage, names(plan).at(-1)]).toEqual(["unused", "[unused 2/2] RUN b"]);
    const error = failure(text, { target: "unsued" });
    expect([error.code, error.message]).toEqual([
      "not-found",
      'target stage "unsued" could not be found (did you mean unused?)',
    ]);
  });

  test("alone have no name, and counts are as wide as the last", () => {
    expect(names(planOf(`FROM base\n${"RUN x\nRUN y\n".repeat(5)}`)).slice(1, 3)).toEqual([
      "[ 2/11] RUN x",
      "[ 3/11] RUN y",
    ]);
  });

  test("that read each other in a circle are refused with their places", () => {
    const error = failure("FROM base AS a\nCOPY --from=b / /\nFROM base AS b\nCOPY --from=a / /");
    expect(error.message).toBe("circular dependency detected on stage: a");
    expect((error as DockerfileError).ranges).toMatchObject([{ start: { line: 2 } }, { start: { line: 4 } }]);
    expect(failure("FROM base AS a\nCOPY --from=a / /").message).toBe(
      "circular dependency detected on stage: a",
    );
    const chain = Array.from({ length: 5000 }, (_, i) => `FROM s${i} AS s${i + 1}`).join("\n");
    expect(target(planOf(`FROM base AS s0\n${chain}`)).stage).toBe("s5000");
  });

  test("must stand before those that read them", () => {
    expect(failure("FROM base AS a\nCOPY --from=b / /\nFROM base AS b\nFROM a").message).toBe(
      'cannot copy from stage "b", it needs to be defined before current stage "a"',
    );
    expect(failure("FROM base AS a\nRUN --mount=from=b,target=/b x\nFROM base AS b\nFROM a").message).toBe(
      'cannot mount from stage "b" to "/b", stage needs to be defined before current command',
    );
    expect(failure("FROM base\nCOPY --from=7 / /").message).toBe("invalid stage index 7");
    expect(failure("FROM base\nARG x=1\nCOPY --from=$x / /").message).toContain(
      "variable expansion is not supported for --from",
    );
  });

  test("with bases that are none say why", () => {
    expect(failure("FROM $X").message).toBe("base name ($X) should not be blank");
    expect(failure("FROM Bad/Name").message).toContain(
      'failed to parse stage name "Bad/Name": invalid reference format',
    );
    expect(failure("FROM --platform=$X base").message).toBe("empty platform value from expression $X");
    expect(failure("FROM --platform=$TARGETPLATFROM base").message).toBe(
      "empty platform value from expression $TARGETPLATFROM (did you mean TARGETPLATFORM?)",
    );
    expect(failure("FROM --platform=a/b/c/d base").message).toStartWith("failed to parse platform a/b/c/d: ");
  });

  test("take over arguments and environment of the stage that they begin from", () => {
    const plan = planOf("FROM base AS a\nARG X=1\nENV Y=2\nFROM a\nRUN z");
    expect(op(named(plan, "RUN"), "exec").env).toEqual(["X=1", "PATH=/bin", "Y=2"]);
    expect(target(plan).config.config?.Env).toEqual(["PATH=/bin", "Y=2"]);
  });
});
