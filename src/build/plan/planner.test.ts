import { describe, expect, test } from "bun:test";
import { notFound, TugError } from "../../base/lib/errors.ts";
import { DockerfileError } from "../../base/spec/dockerfile/error.ts";
import type { ImageRunConfig } from "../../base/spec/oci/image.ts";
import type { FileOp, Vertex } from "../graph.ts";
import type { BuildPlan } from "../plan.ts";
import type { BuildRequest } from "../request.ts";
import { definitionSource } from "./definition.ts";
import { imageKey, type PlanInput } from "./input.ts";
import { planBuild } from "./planner.ts";
import { inOrder, printPlan } from "./print.ts";
import { amd64, image, plainRequest, planInput, planOf } from "./testdata/plans.ts";

const arm64 = { os: "linux", architecture: "arm64" } as const;

function first<T>(list: readonly T[]): T {
  const [one] = list;
  if (one === undefined) throw new Error("nothing is there");
  return one;
}

const target = (plan: BuildPlan) => first(plan.targets);
const vertices = (plan: BuildPlan): readonly Vertex[] =>
  inOrder(plan.targets.flatMap((one) => (one.root ? [one.root] : [])));
const names = (plan: BuildPlan) => vertices(plan).map((vertex) => vertex.name);
const named = (plan: BuildPlan, part: string): Vertex => {
  const found = vertices(plan).find((vertex) => vertex.name.includes(part));
  if (!found) throw new Error(`no ${part} in\n${printPlan(plan)}`);
  return found;
};
const run = (text: string, request: Partial<BuildRequest> = {}, base: ImageRunConfig = {}) => {
  const runs = { "docker.io/library/base:latest": base };
  return target(planOf(text, request, { runs })).config;
};
const history = (text: string, request: Partial<BuildRequest> = {}, base: ImageRunConfig = {}) =>
  (run(text, request, base).history ?? [])
    .slice(1)
    .map((entry) => `${entry.empty_layer ? "" : "+ "}${entry.created_by}`);
const op = <K extends Vertex["op"]["kind"]>(vertex: Vertex, kind: K) => {
  if (vertex.op.kind !== kind) throw new Error(`${vertex.name} is ${vertex.op.kind}`);
  return vertex.op as Vertex["op"] & { readonly kind: K };
};
const exec = (text: string, request: Partial<BuildRequest> = {}) =>
  op(named(planOf(text, request), "RUN"), "exec");
const file = (text: string, request: Partial<BuildRequest> = {}, part = "] "): FileOp => {
  const plan = planOf(text, request);
  return op(vertices(plan).findLast((vertex) => vertex.name.includes(part)) ?? named(plan, part), "file");
};
const failure = (text: string, request: Partial<BuildRequest> = {}): TugError => {
  try {
    planOf(text, request);
  } catch (error) {
    if (error instanceof TugError) return error;
    throw error;
  }
  throw new Error("it was planned");
};

/** What the real BuildKit makes of the same files (Debian's dockerd), but for what newer ones write in other words. */
const configs: readonly (readonly [text: string, config: ImageRunConfig, history: readonly string[]])[] = [
  ["", { Cmd: ["sh"] }, []],
  [
    'ARG X=y\nENV A=$X PATH=/x:$PATH\nRUN echo $A\nCMD echo hi\nENTRYPOINT ["a"]',
    {
      Env: ["PATH=/x:/bin", "A=y"],
      Entrypoint: ["a"],
      Cmd: ["/bin/sh", "-c", "echo hi"],
      ArgsEscaped: true,
    },
    [
      "ARG X=y",
      "ENV A=y PATH=/x:/bin",
      "+ RUN |1 X=y /bin/sh -c echo $A # buildkit",
      'CMD ["/bin/sh" "-c" "echo hi"]',
      'ENTRYPOINT ["a"]',
    ],
  ],
  ['CMD ["x"]', { Cmd: ["x"], ArgsEscaped: true }, ['CMD ["x"]']],
  ["CMD []", { ArgsEscaped: true }, ["CMD []"]],
  ['ENTRYPOINT ["e"]', { Entrypoint: ["e"] }, ['ENTRYPOINT ["e"]']],
  [
    'CMD ["c"]\nENTRYPOINT e f',
    { Cmd: ["c"], Entrypoint: ["/bin/sh", "-c", "e f"], ArgsEscaped: true },
    ['CMD ["c"]', 'ENTRYPOINT ["/bin/sh" "-c" "e f"]'],
  ],
  ["ENTRYPOINT foo\nENTRYPOINT []", {}, ['ENTRYPOINT ["/bin/sh" "-c" "foo"]', "ENTRYPOINT []"]],
  [
    "WORKDIR /foo/\nRUN pwd\nWORKDIR bar\nUSER 1000:1000\nWORKDIR /a/../b",
    { User: "1000:1000", WorkingDir: "/a/../b", Cmd: ["sh"] },
    [
      "+ WORKDIR /foo/",
      "+ RUN /bin/sh -c pwd # buildkit",
      "+ WORKDIR /foo/bar",
      "USER 1000:1000",
      "+ WORKDIR /a/../b",
    ],
  ],
  ["WORKDIR /", { WorkingDir: "/", Cmd: ["sh"] }, ["WORKDIR /"]],
  [
    'LABEL a=b c="d e"\nLABEL x y z\nLABEL a=1',
    { Labels: { a: "1", c: "d e", x: "y z" }, Cmd: ["sh"] },
    ["LABEL a=b c=d e", "LABEL x=y z", "LABEL a=1"],
  ],
  [
    "LABEL __proto__=x",
    { Labels: Object.fromEntries([["__proto__", "x"]]), Cmd: ["sh"] },
    ["LABEL __proto__=x"],
  ],
  ["ENV M n  o", { Env: ["PATH=/bin", "M=n  o"], Cmd: ["sh"] }, ["ENV M=n  o"]],
  ["ENV A=1 B=2\nENV A=3", { Env: ["PATH=/bin", "A=3", "B=2"], Cmd: ["sh"] }, ["ENV A=1 B=2", "ENV A=3"]],
  // All pairs of one instruction see what was there before it, but each sees the ones before.
  ["ENV A=1\nENV A=2 B=$A", { Env: ["PATH=/bin", "A=2", "B=1"], Cmd: ["sh"] }, ["ENV A=1", "ENV A=2 B=1"]],
  [
    "EXPOSE 80 443/udp 90-92 8080/TCP",
    {
      ExposedPorts: { "443/udp": {}, "80/tcp": {}, "8080/tcp": {}, "90/tcp": {}, "91/tcp": {}, "92/tcp": {} },
      Cmd: ["sh"],
    },
    ["EXPOSE [443/udp 80/tcp 8080/tcp 90/tcp 91/tcp 92/tcp]"],
  ],
  [
    'ENV P="1 2"\nEXPOSE $P',
    { Env: ["PATH=/bin", "P=1 2"], ExposedPorts: { "1/tcp": {}, "2/tcp": {} }, Cmd: ["sh"] },
    ["ENV P=1 2", "EXPOSE [1/tcp 2/tcp]"],
  ],
  [
    'VOLUME /v /w\nVOLUME ["/q"]',
    { Volumes: { "/q": {}, "/v": {}, "/w": {} }, Cmd: ["sh"] },
    ["VOLUME [/v /w]", "VOLUME [/q]"],
  ],
  ["USER u", { User: "u", Cmd: ["sh"] }, ["USER u"]],
  ["STOPSIGNAL SIGINT", { StopSignal: "SIGINT", Cmd: ["sh"] }, ["STOPSIGNAL SIGINT"]],
  [
    'SHELL ["/bin/sh","-ec"]\nCMD foo $A\nRUN x',
    { Shell: ["/bin/sh", "-ec"], Cmd: ["/bin/sh", "-ec", "foo $A"], ArgsEscaped: true },
    ["SHELL [/bin/sh -ec]", 'CMD ["/bin/sh" "-ec" "foo $A"]', "+ RUN /bin/sh -ec x # buildkit"],
  ],
  [
    "HEALTHCHECK --interval=90s --retries=3 CMD curl x",
    { Healthcheck: { Test: ["CMD-SHELL", "curl x"], Interval: 90e9, Retries: 3 }, Cmd: ["sh"] },
    [
      "HEALTHCHECK {Test:[CMD-SHELL curl x] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:3}",
    ],
  ],
  [
    "HEALTHCHECK NONE",
    { Healthcheck: { Test: ["NONE"] }, Cmd: ["sh"] },
    ["HEALTHCHECK {Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}"],
  ],
  ["MAINTAINER me", { Cmd: ["sh"] }, ["MAINTAINER me"]],
  ["ONBUILD RUN echo hi\nONBUILD COPY a /z", { OnBuild: ["RUN echo hi", "COPY a /z"], Cmd: ["sh"] }, []],
  [
    "ARG A\nARG B=2 C\nRUN x",
    { Cmd: ["sh"] },
    ["ARG A", "ARG B=2 C", "+ RUN |3 A= B=2 C= /bin/sh -c x # buildkit"],
  ],
  [
    "ARG A=1\nENV A=2\nRUN x",
    { Env: ["PATH=/bin", "A=2"], Cmd: ["sh"] },
    ["ARG A=1", "ENV A=2", "+ RUN |1 A=2 /bin/sh -c x # buildkit"],
  ],
  [
    "COPY a sub/*.txt /d/\nADD --chown=1:2 --chmod=755 a /w/.",
    { Cmd: ["sh"] },
    ["+ COPY a sub/*.txt /d/ # buildkit", "+ ADD --chown=1:2 --chmod=755 a /w/. # buildkit"],
  ],
  [
    "COPY --parents --link a/./b <<E /d/\nx\nE",
    { Cmd: ["sh"] },
    ["+ COPY --parents a/./b <<E /d/ # buildkit"],
  ],
  ["RUN <<E\na\nb\nE", { Cmd: ["sh"] }, ["+ RUN /bin/sh -c a\nb\n # buildkit"]],
  ["RUN <<E\n#!/bin/x\nb\nE", { Cmd: ["sh"] }, ["+ RUN /bin/sh -c /dev/pipes/E # buildkit"]],
  ["RUN cat <<E\na\nE", { Cmd: ["sh"] }, ["+ RUN /bin/sh -c cat <<E\na\nE # buildkit"]],
  ['RUN ["a", "b c"]', { Cmd: ["sh"] }, ["+ RUN a b c # buildkit"]],
];

describe("An image's configuration and history after", () => {
  for (const [text, config, entries] of configs)
    test(text === "" ? "nothing" : text.replaceAll("\n", "; "), () => {
      expect(run(`FROM base\n${text}`).config ?? {}).toEqual({ Env: ["PATH=/bin"], ...config });
      expect(history(`FROM base\n${text}`)).toEqual([...entries]);
      const plan = planOf(`FROM base\n${text}`);
      const made = target(plan).config.history?.slice(target(plan).inheritedHistory) ?? [];
      expect(target(plan).layers.length).toBe(made.filter((entry) => !entry.empty_layer).length);
    });

  test("FROM scratch is that of nothing with a path", () => {
    const made = target(planOf("FROM scratch\nMAINTAINER x"));
    expect(made.config).toMatchObject({
      os: "linux",
      architecture: "amd64",
      author: "x",
      config: { WorkingDir: "/", Env: [expect.stringMatching(/^PATH=\/usr/)] },
    });
    expect([made.root, made.base, made.layers, made.inheritedHistory]).toEqual([undefined, undefined, [], 0]);
  });

  test("what the base says is the base's until an instruction says something else", () => {
    const base = {
      Labels: { a: "1" },
      WorkingDir: "/w",
      User: "u",
      ExposedPorts: { "1/tcp": {} },
      Shell: ["/bin/zsh", "-c"],
    };
    expect(run("FROM base\nLABEL b=2\nWORKDIR x\nRUN y", {}, base).config).toMatchObject({
      ...base,
      Labels: { a: "1", b: "2" },
      WorkingDir: "/w/x",
    });
    expect(history("FROM base\nRUN y", {}, base)).toEqual(["+ RUN /bin/zsh -c y # buildkit"]);
    const container = { ...base, Hostname: "h", AttachStdin: false, Tty: true } as ImageRunConfig;
    expect(run("FROM base", {}, container).config).toEqual({ Env: ["PATH=/bin"], Cmd: ["sh"], ...base });
    expect(run("FROM base", { labels: { c: "3" } }, base).config?.Labels).toEqual({ a: "1", c: "3" });
  });
});

describe("Arguments", () => {
  test("before FROM are for FROM, and for stages that ask", () => {
    const text = "ARG V=1 W=w$V\nFROM base:$V-$W AS a\nRUN echo $V\nFROM a\nARG V\nRUN x";
    const plan = planOf(text);
    expect(target(plan).base?.reference).toBe("docker.io/library/base:1-w1");
    expect(target(plan).config.history?.map((entry) => entry.created_by)).toEqual([
      "base",
      "RUN /bin/sh -c echo $V # buildkit",
      "ARG V=1",
      "RUN |1 V=1 /bin/sh -c x # buildkit",
    ]);
    expect(target(planOf(text, { buildArgs: { V: "2" } })).base?.reference).toBe(
      "docker.io/library/base:2-w2",
    );
  });

  test("given by name replace defaults, but only where they are declared", () => {
    const args = { A: "given", B: "none", constructor: "x" };
    expect(exec("FROM base\nARG A=x\nRUN y", { buildArgs: args }).env).toEqual(["PATH=/bin", "A=given"]);
    expect(exec("FROM base\nARG toString\nRUN y", { buildArgs: args }).env).toEqual(["PATH=/bin"]);
  });

  test("for platforms are there for those who ask", () => {
    const text =
      "FROM --platform=$BUILDPLATFORM base\nARG TARGETPLATFORM TARGETARCH BUILDPLATFORM TARGETSTAGE\nRUN x";
    expect(exec(text, { platforms: [{ ...arm64 }] })).toMatchObject({
      platform: amd64,
      env: [
        "PATH=/bin",
        "TARGETPLATFORM=linux/arm64",
        "TARGETARCH=arm64",
        "BUILDPLATFORM=linux/amd64",
        "TARGETSTAGE=default",
      ],
    });
  });

  test("that are proxies are in every RUN and in no digest", () => {
    const text = "FROM base\nRUN x";
    const proxied = exec(text, { buildArgs: { https_proxy: "http://p" } });
    expect([proxied.env, proxied.proxyEnv]).toEqual([
      ["PATH=/bin"],
      ["HTTPS_PROXY=http://p", "https_proxy=http://p"],
    ]);
    const digest = (request: Partial<BuildRequest>) => target(planOf(text, request)).root?.digest;
    expect(digest({ buildArgs: { HTTP_PROXY: "a" }, resources: { Memory: 1 } })).toBe(digest({}) as never);
    expect(digest({ network: "none" })).not.toBe(digest({}) as never);
  });

  test("of SOURCE_DATE_EPOCH date what is made", () => {
    expect(file("FROM base\nCOPY a /", { epoch: 5 }).epoch).toBe(5);
    expect(file("FROM base\nWORKDIR /x", { epoch: 8 }).epoch).toBe(8);
  });

  test("that are nothing at all are no command", () => {
    expect(failure("FROM base\nRUN []").message).toBe("arguments are required");
  });

  test("that grow without end are refused, as ranges of ports, and as stages do that hand on ever more", () => {
    expect(failure(`FROM base\nEXPOSE ${"0-65535 ".repeat(5000)}`).message).toContain("comes to more than");
    const stages = Array.from({ length: 1500 }, (_, i) => `FROM s${i} AS s${i + 1}\nENV E${i}=`).join("\n");
    expect(failure(`FROM base AS s0\n${stages}`).message).toBe(
      "the Dockerfile comes to more than 67108864 characters in all",
    );
    const lines = Array.from({ length: 12 }, (_, i) => `ARG A${i + 1}=${`$A${i}`.repeat(10)}`);
    expect(failure(`FROM base\nARG A0=0123456789\n${lines.join("\n")}`).message).toContain(
      "variables expand to more than",
    );
    const many = Array.from({ length: 100 }, (_, i) => `LABEL l${i}=$A5`).join("\n");
    expect(
      failure(`FROM base\nARG A0=0123456789\n${lines.slice(0, 5).join("\n")}\n${many}`).message,
    ).toContain("the Dockerfile comes to more than");
  }, 60_000);
});

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

describe("COPY and ADD", () => {
  const action = (text: string, request: Partial<BuildRequest> = {}) => {
    const [one] = file(`FROM base\n${text}`, request).actions;
    if (one?.kind !== "copy") throw new Error("no copy");
    return one;
  };

  test("name sources clean and destinations absolute", () => {
    expect(action("COPY ./a /b/../c/ d")).toMatchObject({
      sources: ["a", "c"],
      dest: "/d",
      wildcard: true,
      unpack: false,
      instruction: "COPY",
    });
    for (const [dest, absolute] of [
      [".", "/w/"],
      ["./", "/w/"],
      ["x", "/w/x"],
      ["x/", "/w/x/"],
      ["..", "/"],
      ["../x", "/x"],
      ["/", "/"],
      ["/a/.", "/a/"],
      ["/a/../../b//", "/b/"],
    ] as const)
      expect(action(`WORKDIR /w\nCOPY a ${dest}`).dest).toBe(absolute);
  });

  test("have owners, modes, and what they leave out", () => {
    expect(action("COPY --chown=a:b --chmod=0755 --exclude=*.o x /")).toMatchObject({
      owner: { user: "a", group: "b" },
      chmod: "0755",
      exclude: ["*.o"],
    });
    expect(action("ARG U=5\nCOPY --chown=$U --chmod=u=rwX,go=rX x /")).toMatchObject({
      owner: { user: "5", group: undefined },
      chmod: "u=rwX,go=rX",
    });
    expect(failure("FROM base\nCOPY --chmod=999 a /").message).toBe(
      "invalid chmod parameter: '999'. it should be octal string and between 0 and 07777",
    );
    expect(action("COPY --parents a/./b/*.c ./x/y /").sources).toEqual(["a/./b/*.c", "x/y"]);
  });

  test("of archives unpack unless told, of URLs only when told", () => {
    expect(action("ADD a /").unpack).toBe(true);
    expect(action("ADD --unpack=false a /").unpack).toBe(false);
    expect(action("ADD https://h/x/y.tgz?q=1 /")).toMatchObject({
      unpack: false,
      remote: true,
      sources: ["y.tgz"],
    });
    expect(action("ADD --unpack https://h/x/y.tgz /").unpack).toBe(true);
    for (const url of ["https://h", "https://h/", "https://h/..", "https://h/%2e%2e", "https://h/a%2Fb"])
      expect(action(`ADD ${url} /`).sources).toEqual(["__unnamed__"]);
  });

  test("read repositories and checked downloads", () => {
    const plan = planOf("FROM base\nADD --keep-git-dir=true https://h/r.git?commit=abc#v1:sub /r");
    expect(vertices(plan).find(({ op }) => op.kind === "git")?.op).toEqual({
      ...{
        kind: "git",
        remote: "https://h/r.git",
        ref: "v1",
        subdir: "sub",
        keepGitDir: true,
        submodules: true,
        mtime: "checkout",
        checksum: "abc",
      },
    });
    const digest = `sha256:${"a".repeat(64)}`;
    const http = planOf(`FROM base\nADD --checksum=${digest} https://h/f /`);
    expect(vertices(http).find(({ op }) => op.kind === "http")?.op).toMatchObject({
      checksum: digest,
      filename: "f",
    });
    for (const [text, message] of [
      ["ADD --checksum=x a /", "checksum requires HTTP(S) or Git sources"],
      [
        `ADD --checksum=${digest} https://h/a https://h/b /`,
        "checksum can't be specified for multiple sources",
      ],
      ["COPY https://h/a /", "source can't be a URL for COPY"],
      ["COPY git@h:a.git /", "source can't be a git ref for COPY"],
      ["ADD https://h/a.git?x=1 /", 'unexpected query "x"'],
      ["ADD https://h/a.git?subdir=c#:b /", "subdir conflicts"],
    ] as const)
      expect(failure(`FROM base\n${text}`).message).toContain(message);
    expect(failure("FROM base\nADD https://h/r.git#x:../../etc /r").message).toBe(
      'invalid subdir "../../etc": it leads out of the repository',
    );
  });

  test("with --link make a layer of their own that is put on the root", () => {
    const plan = planOf("FROM base\nRUN a\nCOPY --link --chown=1 x /");
    const link = target(plan).root;
    expect(link?.op).toEqual({ kind: "restack", root: 0, layer: 1 });
    expect(link?.inputs.map((input) => input.name)).toEqual([
      "[2/3] RUN a",
      "[3/3] COPY --link --chown=1 x /",
    ]);
    expect(link?.name).toBe("[3/3] LINK COPY --link --chown=1 x /");
    expect(op(first(link?.inputs.slice(1) ?? []), "file").root).toBeUndefined();
    // The layer does not depend on what lies below it.
    const other = planOf("FROM base\nRUN b\nCOPY --link --chown=1 x /");
    expect(target(other).root?.inputs[1]?.digest).toBe(link?.inputs[1]?.digest as never);
  });

  test("of documents write them first, with variables where their names are not quoted", () => {
    const plan = planOf("FROM base\nARG V=1\nCOPY <<a <<'b' /d/\n$V \"\\$V\"\na\n$V\nb\n");
    const documents = vertices(plan).filter(({ name }) => name === "[internal] preparing inline document");
    expect(documents.map((vertex) => op(vertex, "file").actions[0])).toMatchObject([
      { kind: "write", path: "/a", mode: 0o644, content: '1 "$V"\n' },
      { kind: "write", path: "/b", content: "$V\n" },
    ]);
  });
});

describe("The context", () => {
  const context = (plan: BuildPlan) => vertices(plan).find(({ op }) => op.kind === "local")?.op;

  test("is sent no further than instructions that run read of it", () => {
    const text =
      "FROM base AS no\nCOPY secret /\nFROM base\nCOPY a/ b/*.c ../x /d/\nADD https://h/u /\nRUN --mount=source=src,target=/s x";
    expect(context(planOf(text, {}, { ignore: "*.o\n!k.o\n" }))).toEqual({
      kind: "local",
      name: "context",
      session: "session",
      exclude: ["*.o", "!k.o"],
      include: ["a", "b/*.c", "src", "x"],
    });
    for (const all of ["COPY . /", "COPY / /", "RUN --mount=target=/s x"])
      expect(context(planOf(`FROM base\nCOPY a /\n${all}`))).toMatchObject({ include: [] });
  });

  test("is not asked for when nothing reads it", () => {
    expect(context(planOf("FROM base\nRUN x"))).toBeUndefined();
  });

  test("may be a repository, an archive or a file from the network, or nothing", () => {
    const of = (request: Partial<BuildRequest>, more: Partial<PlanInput> = {}) =>
      vertices(planOf("FROM base\nCOPY a /", request, more)).map(({ op, name }) => [op.kind, name]);
    expect(of({ context: { kind: "git", url: "github.com/a/b#c:d" } })[1]).toEqual([
      "git",
      "[internal] load git source github.com/a/b#c:d",
    ]);
    const http = { context: { kind: "http", url: "https://h/c" } } as const;
    expect(of(http, { httpContext: "archive" }).map(([kind]) => kind)).toEqual([
      "image",
      "http",
      "file",
      "file",
    ]);
    expect(of(http, { httpContext: "dockerfile" }).map(([kind]) => kind)).toEqual(["image", "http", "file"]);
    expect(of({ context: { kind: "none" } }).map(([kind]) => kind)).toEqual(["image", "file"]);
  });

  test("by name stands for stages, bases and what COPY names", () => {
    const local = { kind: "local", name: "dir" } as const;
    const text =
      "FROM base AS lib\nRUN never\nFROM base\nCOPY --from=lib /a/b /\nCOPY --from=alpine /etc/x /";
    const namedContexts = { lib: local, alpine: { kind: "image", reference: "mine:1" } as const };
    const lacking = planBuild(planInput(text, { namedContexts }));
    expect(lacking).toMatchObject({
      kind: "needs",
      ignoreFiles: [{ context: "lib", vertex: { name: "[context lib] load .dockerignore" } }],
    });
    const plan = planOf(text, { namedContexts }, { ignoreFiles: new Map([["lib", "x\n"]]) });
    expect(named(plan, "load from client").op).toMatchObject({
      name: "dir",
      exclude: ["x"],
      include: ["a/b"],
    });
    expect(named(plan, "[context alpine]").op).toMatchObject({ reference: "docker.io/library/mine:1" });
    expect(names(plan).some((name) => name.includes("never"))).toBe(false);
    const base = planOf("FROM base\nRUN x", { namedContexts: { base: { kind: "image", reference: "b2" } } });
    expect(target(base).base?.reference).toBe("docker.io/library/b2:latest");
  });

  test("of a layout is the client's image", () => {
    const digest = `sha256:${"d".repeat(64)}`;
    const ref = { kind: "oci-layout", store: "store", reference: `x@${digest}` } as const;
    const plan = planOf("FROM base\nRUN x", { namedContexts: { base: ref } });
    expect(vertices(plan)[0]?.op).toMatchObject({ kind: "oci-layout", store: "store" });
    const none = { ...ref, reference: "x:1" };
    expect(failure("FROM base", { namedContexts: { base: none } }).message).toContain("has no digest");
  });

  test("has the Dockerfile, under the names that it may have", () => {
    const source = definitionSource(plainRequest, "s");
    expect(source.dockerfile.op).toMatchObject({
      name: "context",
      include: ["Dockerfile", "Dockerfile.dockerignore", "dockerfile"],
    });
    expect([source.dockerfile.name, source.ignore?.name, source.paths]).toEqual([
      "[internal] load build definition from Dockerfile",
      "[internal] load .dockerignore",
      ["Dockerfile", "dockerfile"],
    ]);
    const other = {
      ...plainRequest,
      dockerfile: "d/x",
      dockerfileContext: { kind: "local", name: "dockerfile" } as const,
    };
    expect(definitionSource(other, "s")).toMatchObject({ paths: ["d/x"], ignorePath: "d/x.dockerignore" });
  });
});

describe("RUN", () => {
  test("runs in the stage's directory, as its user, with its environment", () => {
    expect(
      exec("FROM base\nENV A=1\nUSER u:g\nWORKDIR /w/\nRUN x", {
        network: "none",
        hostname: "h",
        shmSize: 5,
      }),
    ).toMatchObject({
      root: 0,
      args: ["/bin/sh", "-c", "x"],
      env: ["PATH=/bin", "A=1"],
      cwd: "/w",
      user: "u:g",
      network: "none",
      hostname: "h",
      shmSize: 5,
      security: "sandbox",
    });
    expect(exec("FROM base\nRUN --network=host --security=insecure x", { network: "none" })).toMatchObject({
      network: "host",
      security: "insecure",
    });
  });

  test("has mounts of all kinds", () => {
    const plan = planOf(
      [
        "FROM base AS dep",
        "RUN d",
        "FROM base",
        "WORKDIR /w",
        "ARG D=deep",
        "RUN --mount=from=dep,source=/s/$D,target=rel --mount=type=cache,target=/c --mount=type=cache,id=i,target=/e,from=dep,source=q,sharing=locked,mode=0700,uid=3 --mount=type=tmpfs,target=/t,size=1k --mount=type=secret,id=a/key --mount=type=secret,id=tok,env=TOK,required --mount=type=ssh x",
      ].join("\n"),
    );
    const vertex = named(plan, "RUN --mount");
    expect(op(vertex, "exec").mounts).toEqual([
      { kind: "bind", target: "/w/rel", from: 1, source: "s/deep", readonly: true },
      {
        kind: "cache",
        target: "/c",
        id: "/c",
        sharing: "shared",
        from: undefined,
        source: "",
        readonly: false,
        mode: 0o755,
        uid: 0,
        gid: 0,
      },
      {
        kind: "cache",
        target: "/e",
        id: "i",
        sharing: "locked",
        from: 1,
        source: "q",
        readonly: false,
        mode: 0o700,
        uid: 3,
        gid: 0,
      },
      { kind: "tmpfs", target: "/t", size: 1024 },
      {
        kind: "secret",
        target: "/run/secrets/key",
        env: undefined,
        id: "a/key",
        required: false,
        mode: 0o400,
        uid: 0,
        gid: 0,
      },
      {
        kind: "secret",
        target: undefined,
        env: "TOK",
        id: "tok",
        required: true,
        mode: 0o400,
        uid: 0,
        gid: 0,
      },
      {
        kind: "ssh",
        target: "/run/buildkit/ssh_agent.0",
        id: "default",
        required: false,
        mode: 0o600,
        uid: 0,
        gid: 0,
      },
    ]);
    expect(op(vertex, "exec").env).toContain("SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0");
    expect(vertex.inputs.map((input) => input.name)).toEqual(["[stage-1 2/3] WORKDIR /w", "[dep 2/2] RUN d"]);
    for (const [mount, message] of [
      ["target=/", 'invalid mount target "/"'],
      ["type=ssh,source=x", "ssh does not support source"],
      ["type=cache,target=../../..", 'invalid mount target "/"'],
    ] as const)
      expect(failure(`FROM base\nRUN --mount=${mount} x`).message).toBe(message);
  });

  test("of a script with a #! runs it as a file", () => {
    const plan = planOf("FROM base\nRUN <<-E\n\t#!/bin/x\n\ty\n\tE\n");
    const vertex = named(plan, "RUN <<-E (#!/bin/x...)");
    expect(op(vertex, "exec")).toMatchObject({
      args: ["/bin/sh", "-c", "/dev/pipes/E"],
      mounts: [{ kind: "bind", target: "/dev/pipes", from: 1, source: "", readonly: true }],
    });
    expect(op(first(vertex.inputs.slice(1)), "file").actions).toMatchObject([
      { kind: "write", path: "/E", mode: 0o755, content: "#!/bin/x\ny\n" },
    ]);
  });

  test("shows variables in its name, but no secret's value", () => {
    const text = "FROM base\nARG V=1\nENV T=old\nRUN --mount=type=secret,id=s,env=T echo $V '$V' $T $NO";
    expect(names(planOf(text)).at(-1)).toEndWith("echo 1 '$V' **** $NO");
  });
});

test("WORKDIR makes the directory as the user", () => {
  expect(file("FROM base\nUSER u\nWORKDIR /a/b").actions).toEqual([
    { kind: "mkdir", path: "/a/b", mode: 0o755, owner: { user: "u", group: undefined } },
  ]);
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
