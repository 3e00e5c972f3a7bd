import { describe, expect, test } from "bun:test";
import { notFound } from "../../base/lib/errors.ts";
import { DockerfileError } from "../../base/spec/dockerfile/error.ts";
import type { BuildRequest } from "../request.ts";
import { imageKey } from "./input.ts";
import { planBuild } from "./planner.ts";
import { arm64, exec, failure, first, names, target, vertices } from "./testdata/looks.ts";
import { amd64, image, planInput, planOf } from "./testdata/plans.ts";

describe("What the planner lacks", () => {
  test("it asks for, with all that is needed to ask", () => {
    const text = "FROM base AS unused\nFROM --platform=linux/arm64 some/image:1\nCOPY --from=other / /";
    const result = planBuild(planInput(text, { pull: true }));
    expect(result).toMatchObject({
      kind: "needs",
      images: [
        {
          key: imageKey("docker.io/some/image:1", arm64),
          reference: "docker.io/some/image:1",
          platform: arm64,
          pull: true,
          progressName: "[internal] load metadata for docker.io/some/image:1",
          location: { file: 0, range: { start: { line: 2 } } },
        },
        { reference: "docker.io/library/other:latest", platform: amd64 },
      ],
      ignoreFiles: [],
    });
  });

  test("and cannot have fails with the place and a hint", () => {
    const key = imageKey("docker.io/library/busyboks:latest", amd64);
    const images = new Map([[key, notFound("not found")]]);
    try {
      planBuild(planInput("FROM busyboks", {}, { images }));
      throw new Error("planned");
    } catch (error) {
      if (!(error instanceof DockerfileError)) throw error;
      expect([error.code, error.message]).toEqual([
        "not-found",
        "busyboks: not found (did you mean busybox?)",
      ]);
      expect(error.ranges).toMatchObject([{ start: { line: 1 } }]);
    }
  });

  test("triggers of a base bring in comes before the stage's own, and may need more", () => {
    const base = { OnBuild: ["COPY --from=tools /t /t", "RUN <<E\nx\nE", "ENV T=1"] };
    const runs = { "docker.io/library/base:latest": base };
    const plan = planOf("FROM base\nRUN own", {}, { runs });
    expect(names(plan).map((name) => name.replace(/@.*/, ""))).toEqual([
      "[stage-0 1/2] FROM docker.io/library/base:latest".replace("stage-0 ", ""),
      "FROM docker.io/library/tools:latest",
      "[2/5] ONBUILD COPY --from=tools /t /t",
      "[3/5] ONBUILD RUN <<E (x)",
      "[4/5] RUN own",
    ]);
    expect(target(plan).config.config).toMatchObject({ Env: ["PATH=/bin", "T=1"] });
    expect(target(plan).config.config?.OnBuild).toBeUndefined();
    const stage = planOf("FROM base AS a\nONBUILD RUN t\nFROM a\nFROM a AS b\nFROM b");
    expect(names(stage).at(-1)).toBe("[b 1/1] ONBUILD RUN t");
  });
});

test("Several platforms are planned beside each other and share what is equal", () => {
  const text =
    "FROM --platform=$BUILDPLATFORM tools AS cross\nARG TARGETARCH\nRUN cross\nFROM --platform=$BUILDPLATFORM tools AS same\nRUN one\nFROM base\nCOPY --from=cross /x /\nCOPY --from=same /y /\nCOPY c /";
  const plan = planOf(text, { platforms: [amd64, arm64] });
  expect(plan.targets.map((one) => [one.platform, one.config.architecture])).toEqual([
    [amd64, "amd64"],
    [arm64, "arm64"],
  ]);
  const all = names(plan);
  expect(all.filter((name) => name.endsWith("RUN one")).length).toBe(1);
  expect(all.filter((name) => name.endsWith("RUN cross"))).toEqual([
    "[linux/amd64 cross 2/2] RUN cross",
    "[linux/amd64->arm64 cross 2/2] RUN cross",
  ]);
  expect(all.filter((name) => name === "[internal] load build context").length).toBe(1);
  expect(all).toContain("[linux/arm64 stage-2 4/4] COPY c /");
  expect(
    failure("FROM base", { platforms: [amd64, arm64], buildArgs: { BUILDKIT_MULTI_PLATFORM: "0" } }).message,
  ).toContain("returning multiple target platforms is not allowed");
});

test("The platform that was asked for is the image's; without one it is the base's", () => {
  const images = new Map([[imageKey("docker.io/library/base:latest", amd64), image({}, arm64 as never)]]);
  const plan = planOf("FROM base", {}, { images });
  expect(target(plan).config.architecture).toBe("arm64");
  expect(first(plan.warnings).short).toBe(
    'InvalidBaseImagePlatform: Base image base was pulled with platform "linux/arm64", expected "linux/amd64" for current build (line 1)',
  );
  const asked = planOf("FROM base", { platforms: [amd64] }, { images });
  expect(target(asked).config.architecture).toBe("amd64");
});

test("No cache is for all stages or for those that are named", () => {
  const text = "FROM base AS a\nRUN x\nFROM a AS b\nCOPY c /";
  const ignored = (noCache: BuildRequest["noCache"]) =>
    vertices(planOf(text, { noCache }))
      .filter((vertex) => vertex.ignoreCache)
      .map((vertex) => vertex.name);
  expect(ignored(false)).toEqual([]);
  expect(ignored(true)).toEqual(["[a 2/2] RUN x", "[b 1/1] COPY c /"]);
  expect(ignored(["B"])).toEqual(["[b 1/1] COPY c /"]);
});

test("What a bill of materials covers besides is told", () => {
  const text =
    "FROM base AS a\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nFROM base AS b\nFROM base AS c\nCOPY --from=a / /\nCOPY --from=b / /";
  const scanned = (request: Partial<BuildRequest> = {}) =>
    target(planOf(text, request)).scanned?.map(({ name }) => name);
  expect(scanned()).toEqual(["a"]);
  expect(scanned({ buildArgs: { BUILDKIT_SBOM_SCAN_STAGE: "b" } })).toEqual([]);
  expect(exec("ARG BUILDKIT_SBOM_SCAN_STAGE=x\nFROM base\nARG BUILDKIT_SBOM_SCAN_STAGE\nRUN y").env).toEqual([
    "PATH=/bin",
  ]);
});

test("Equal steps have equal digests, whatever they are called; different ones have not", () => {
  const digest = (text: string) => target(planOf(text)).root?.digest ?? "";
  expect(digest("FROM base\nRUN x")).toBe(digest("# comment\nFROM base AS y\n\nrun   x"));
  const others = [
    "FROM base\nRUN y",
    "FROM base\nUSER u\nRUN x",
    "FROM base\nENV A=1\nRUN x",
    "FROM b2\nRUN x",
    "FROM base\nWORKDIR /w\nRUN x",
  ];
  expect(new Set([digest("FROM base\nRUN x"), ...others.map(digest)]).size).toBe(others.length + 1);
});
