import { describe, expect, test } from "bun:test";
import type { ImageRunConfig } from "../../base/spec/oci/image.ts";
import type { BuildRequest } from "../request.ts";
import { target } from "./testdata/looks.ts";
import { planOf } from "./testdata/plans.ts";

const run = (text: string, request: Partial<BuildRequest> = {}, base: ImageRunConfig = {}) => {
  const runs = { "docker.io/library/base:latest": base };
  return target(planOf(text, request, { runs })).config;
};
const history = (text: string, request: Partial<BuildRequest> = {}, base: ImageRunConfig = {}) =>
  (run(text, request, base).history ?? [])
    .slice(1)
    .map((entry) => `${entry.empty_layer ? "" : "+ "}${entry.created_by}`);

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
