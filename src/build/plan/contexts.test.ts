import { describe, expect, test } from "bun:test";
import type { BuildPlan } from "../plan.ts";
import type { BuildRequest } from "../request.ts";
import { definitionSource } from "./definition.ts";
import type { PlanInput } from "./input.ts";
import { planBuild } from "./planner.ts";
import { failure, named, names, target, vertices } from "./testdata/looks.ts";
import { plainRequest, planInput, planOf } from "./testdata/plans.ts";

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
