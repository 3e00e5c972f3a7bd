// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what is tested
import { describe, expect, test } from "bun:test";
import type { BuildRequest } from "../../request.ts";
import { image, planInput, planOf } from "../testdata/plans.ts";
import { type CallResult, checkBuild, listTargets, outlineBuild } from "./calls.ts";

const decoder = new TextDecoder();

function answer(call: (images: ReadonlyMap<string, ReturnType<typeof image>>) => CallResult) {
  const images = new Map<string, ReturnType<typeof image>>();
  for (let round = 0; round < 3; round++) {
    const result = call(images);
    if (result.kind === "result")
      return Object.fromEntries(
        Object.entries(result.files).map(([name, bytes]) => [name, decoder.decode(bytes)]),
      );
    for (const need of result.images) images.set(need.key, image({}, need.platform as never));
  }
  throw new Error("it asks again and again");
}

const check = (text: string, request: Partial<BuildRequest> = {}, ignore = "") =>
  answer((images) => checkBuild(planInput(text, request, { images, ignore })));

/** Rule, line and text of each warning. */
function warnings(text: string, request: Partial<BuildRequest> = {}, ignore = ""): readonly string[] {
  return planOf(text, request, { ignore }).warnings.map(({ short }) => short);
}

const rules: readonly (readonly [text: string, warning: string, ignore?: string])[] = [
  ["FROM scratch AS Base", "StageNameCasing: Stage name 'Base' should be lowercase (line 1)"],
  ["FROM scratch as base", "FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)"],
  ["FROM scratch\nCOPY \\\n\n a b", "NoEmptyContinuation: Empty continuation line (line 4)"],
  [
    "FROM scratch\ncopy a b\nCOPY c d",
    "ConsistentInstructionCasing: Command 'copy' should match the case of the command majority (uppercase) (line 2)",
  ],
  [
    "FROM scratch AS a\nFROM scratch AS a",
    'DuplicateStageName: Duplicate stage name "a", stage names should be unique (line 2)',
  ],
  [
    "FROM scratch AS context",
    'ReservedStageName: Stage name should not use the same name as reserved stage "context" (line 1)',
  ],
  [
    "FROM scratch\nCMD a",
    "JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (line 2)",
  ],
  [
    "FROM scratch\nENTRYPOINT a",
    "JSONArgsRecommended: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals (line 2)",
  ],
  [
    "FROM scratch\nMAINTAINER a",
    "MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)",
  ],
  [
    "ARG VERSION=1\nFROM base:a${VERSOIN}",
    "UndefinedArgInFrom: FROM argument 'VERSOIN' is not declared (did you mean VERSION?) (line 2)",
  ],
  [
    "FROM scratch\nENV FOO=1\nLABEL a=$FO",
    "UndefinedVar: Usage of undefined variable '$FO' (did you mean $FOO?) (line 3)",
  ],
  [
    "FROM scratch\nWORKDIR a",
    'WorkdirRelativePath: Relative workdir "a" can have unexpected results if the base image changes (line 2)',
  ],
  [
    "ARG TAG\nFROM base:$TAG",
    "InvalidDefaultArgInFrom: Default value for ARG base:$TAG results in empty or invalid base image name (line 2)",
  ],
  [
    "FROM --platform=linux/arm64 scratch",
    'FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "linux/arm64" (line 1)',
  ],
  [
    "FROM scratch\nENV a b",
    'LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format (line 2)',
  ],
  [
    "FROM --platform=$TARGETPLATFORM scratch",
    "RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior (line 1)",
  ],
  [
    "FROM scratch\nARG DB_PASSWORD",
    'SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "DB_PASSWORD") (line 2)',
  ],
  [
    "FROM scratch\nENV API_KEY=1",
    'SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV "API_KEY") (line 2)',
  ],
  [
    'FROM scratch\nCMD ["a"]\nCMD ["b"]',
    "MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used (line 2)",
  ],
  [
    "FROM scratch\nCOPY a.o /",
    'CopyIgnoredFile: Attempting to Copy file "a.o" that is excluded by .dockerignore (line 2)',
    "*.o",
  ],
  [
    "FROM scratch\nADD . /",
    'CopyIgnoredFile: Attempting to Add file "." that is excluded by .dockerignore (line 2)',
    "**",
  ],
  [
    "# check=experimental=all\n# b is it\nARG a\nFROM scratch",
    "InvalidDefinitionDescription: Comment for ARG should follow the format: `# a <description>` (line 3)",
  ],
  [
    "FROM scratch\nEXPOSE 80/TCP",
    "ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase (line 2)",
  ],
  [
    "FROM scratch\nEXPOSE 1.2.3.4:8:9",
    "ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '1.2.3.4:8:9' (line 2)",
  ],
];

describe("Warnings", () => {
  for (const [text, warning, ignore] of rules)
    test(warning.slice(0, 60), () => {
      const buildArgs = text.includes("$TAG") ? { TAG: "1" } : {};
      expect(warnings(text, { buildArgs }, ignore)).toEqual([warning]);
    });

  test("are not for what EXPOSE expands to nothing", () => {
    expect(warnings("FROM base\nEXPOSE $PORT\n")).toEqual([]);
  });

  test("are not for what is right", () => {
    const text =
      '# a is it\nARG a=1\nFROM --platform=$BUILDPLATFORM scratch AS build\nWORKDIR /a\nWORKDIR b\nARG A=$a KEY_FILE PUBLIC_KEY\nENV X=$A\nSHELL ["a"]\nCMD b\nEXPOSE 80\nCOPY k.o /\nFROM --platform=linux/arm64 scratch AS arm64';
    expect(warnings(text, {}, "*.o\n!k.o")).toEqual([]);
  });

  test("can be switched off: for the file, an instruction, the request", () => {
    const text = "FROM scratch AS A\nCMD a";
    expect(warnings(text).length).toBe(2);
    expect(warnings(`# check=skip=StageNameCasing\n${text}`)).toEqual([expect.stringContaining("JSONArgs")]);
    expect(warnings(`# check=skip=all\n${text}`)).toEqual([]);
    expect(warnings("FROM scratch AS A\n# check=skip=JSONArgsRecommended\nCMD a").length).toBe(1);
    expect(warnings(text, { skipLintRules: ["JSONArgsRecommended", "StageNameCasing"] })).toEqual([]);
    expect(warnings(text, { buildArgs: { BUILDKIT_DOCKERFILE_CHECK: "skip=all" } })).toEqual([]);
  });

  test("can be errors", () => {
    const text = "FROM scratch AS A\nCMD a";
    const message = "lint violation found for rules: JSONArgsRecommended, StageNameCasing";
    expect(() => planOf(`# check=error=true\n${text}`)).toThrow(message);
    expect(() => planOf(text, { lintErrors: true })).toThrow(message);
    expect(() => planOf(`# check=error=maybe\n${text}`)).toThrow(
      'failed to parse check option "error=maybe"',
    );
    expect(() => planOf(`# check=foo=1\n${text}`)).toThrow('invalid check option "foo"');
  });
});

describe("A check", () => {
  test("looks at all stages and shows where", () => {
    const files = check("FROM scratch AS A\nCMD a\n\nFROM base\n");
    expect(files["result.statuscode"]).toBe("1");
    expect(files["result.txt"]).toBe(
      [
        "\nWARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/",
        "Stage name 'A' should be lowercase",
        "Dockerfile:1\n--------------------",
        "   1 | >>> FROM scratch AS A\n   2 |     CMD a\n   3 |     \n--------------------\n",
        "WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
        "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
        "Dockerfile:2\n--------------------",
        "   1 |     FROM scratch AS A\n   2 | >>> CMD a\n   3 |     \n   4 |     FROM base\n--------------------\n",
      ].join("\n"),
    );
    expect(JSON.parse(files["result.json"] ?? "")).toMatchObject({
      warnings: [
        {
          ruleName: "StageNameCasing",
          description: "Stage names should be lowercase",
          detail: "Stage name 'A' should be lowercase",
          location: { ranges: [{ start: { line: 1 }, end: { line: 1 } }] },
        },
        { ruleName: "JSONArgsRecommended" },
      ],
      sources: [
        {
          filename: "Dockerfile",
          language: "Dockerfile",
          data: btoa("FROM scratch AS A\nCMD a\n\nFROM base\n"),
        },
      ],
    });
  });

  test("without anything to tell says so, and tells of errors", () => {
    const good = check("FROM scratch\n");
    expect([
      good["result.statuscode"],
      good["result.txt"],
      JSON.parse(good["result.json"] ?? ""),
    ]).toMatchObject(["0", "", { warnings: null }]);
    const bad = check("FROM scratch\nRNU x\n");
    expect([bad["result.statuscode"], JSON.parse(bad["result.json"] ?? "")]).toMatchObject([
      "1",
      {
        buildError: {
          message: "dockerfile parse error on line 2: unknown instruction: RNU (did you mean RUN?)",
          location: { ranges: [{ start: { line: 2 }, end: { line: 2 } }] },
        },
      },
    ]);
  });

  test.each([
    [
      "cannot be understood",
      "FROM scratch AS Base\nMAINTAINER me\nRNU x\n",
      "RNU",
      ["StageNameCasing", "MaintainerDeprecated"],
    ],
    ["has no stage", "ARG \\\n\na\nMAINTAINER me\n", "no build stage", ["NoEmptyContinuation"]],
    ["comes to nothing", "ARG i\nFROM $i AS Base\n", "blank", ["StageNameCasing", "InvalidDefaultArgInFrom"]],
  ])("tells what stands before an instruction that %s", (_, text, message, expected) => {
    const { buildError, warnings } = JSON.parse(check(text)["result.json"] ?? "");
    expect(buildError.message).toContain(message);
    expect(warnings.map((warning: { ruleName: string }) => warning.ruleName)).toEqual(expected);
  });
});

test("Targets are listed with what is said of them", () => {
  const text = "# build makes it\nFROM base AS build\nFROM --platform=$X scratch\n";
  const files = answer(() => listTargets({ name: "Dockerfile", text }));
  expect(files["result.txt"]).toBe("TARGET    DESCRIPTION\nbuild     makes it\n(default) \n");
  expect(JSON.parse(files["result.json"] ?? "")).toMatchObject({
    targets: [
      {
        name: "build",
        description: "makes it",
        base: "base",
        location: { ranges: [{ start: { line: 2 } }] },
      },
      { default: true, base: "scratch", platform: "$X" },
    ],
    sources: [btoa(text)],
  });
});

test("The outline tells what a target can be given", () => {
  const text =
    "# V the version\nARG V=1\nARG U=x$V\nARG unused=2\nFROM base:$U AS dep\n# D what dep does\nARG D=3\nFROM base AS other\nARG O\n# out is it\nFROM base AS out\nCOPY --from=dep / /\nRUN --mount=type=secret,id=tok,required --mount=type=ssh x\n";
  const files = answer((images) => outlineBuild(planInput(text, { target: "out" }, { images })));
  expect(files["result.txt"]).toBe(
    [
      "TARGET:      out\nDESCRIPTION: is it\n",
      "BUILD ARG   VALUE   DESCRIPTION\nV           1       the version\nU           x1      \nD           3       what dep does\n",
      "SECRET   REQUIRED\ntok      true\n",
      "SSH       REQUIRED\ndefault   \n\n",
    ].join("\n"),
  );
  expect(JSON.parse(files["result.json"] ?? "")).toMatchObject({
    name: "out",
    args: [{ name: "V", value: "1", description: "the version" }, { name: "U" }, { name: "D" }],
    secrets: [{ name: "tok", required: true }],
    ssh: [{ name: "default" }],
  });
});
