import { describe, expect, test } from "bun:test";
import type { BuildRequest } from "../request.ts";
import { arm64, exec, failure, file, target } from "./testdata/looks.ts";
import { amd64, planOf } from "./testdata/plans.ts";

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
