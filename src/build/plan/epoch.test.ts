import { describe, expect, test } from "bun:test";
import { messageOf } from "../../base/lib/errors.ts";
import type { BuildRequest } from "../request.ts";
import { epochSource } from "./epoch.ts";
import { planInput } from "./testdata/plans.ts";

const read = (epoch: string | undefined, request: Partial<BuildRequest> = {}, text = "FROM base") =>
  epochSource(
    planInput(text, { ...request, ...(epoch !== undefined && { buildArgs: { SOURCE_DATE_EPOCH: epoch } }) }),
  );
const nothing = { kind: "seconds", seconds: undefined } as const;
const op = (...args: Parameters<typeof read>) => {
  const found = read(...args);
  return found.kind === "source" ? found.vertex.op : found;
};

describe("SOURCE_DATE_EPOCH", () => {
  test("is seconds, of the request, of a build argument or of an ARG before the first FROM", () => {
    const seconds = (...args: Parameters<typeof read>) => read(...args);
    expect(seconds("7")).toEqual({ kind: "seconds", seconds: 7 });
    expect(seconds("7", { epoch: 5 })).toEqual({ kind: "seconds", seconds: 5 });
    expect(seconds(undefined, {}, "ARG Y=8\nARG SOURCE_DATE_EPOCH=$Y\nFROM base")).toEqual({
      kind: "seconds",
      seconds: 8,
    });
    for (const epoch of ["", undefined]) expect(read(epoch)).toEqual(nothing);
    for (const epoch of ["soon", "1e9", "2024-01-01"])
      expect(() => read(epoch)).toThrow(`invalid SOURCE_DATE_EPOCH: ${epoch}`);
  });

  test("of a context is that of a repository or of a download; the client's directories tell none", () => {
    const context = (url: string) => ({ context: { kind: "git", url } }) as const;
    expect(op("context", context("https://h/r.git#main:sub"))).toMatchObject({
      kind: "git",
      remote: "https://h/r.git",
      ref: "main",
      subdir: "sub",
      mtime: "commit",
    });
    expect(op("context", { context: { kind: "http", url: "https://h/c.tgz" } })).toMatchObject({
      kind: "http",
      filename: "context",
    });
    expect(read("context")).toEqual(nothing);
    const namedContexts = {
      src: { kind: "git", url: "https://h/x.git" },
      dir: { kind: "local", name: "d" },
    } as const;
    expect(op("src", { namedContexts })).toMatchObject({ remote: "https://h/x.git", mtime: "commit" });
    expect(read("dir", { namedContexts })).toEqual(nothing);
  });

  test("of a stage is that of its only remote ADD", () => {
    const stage = (...lines: readonly string[]) => ["FROM scratch AS Time", ...lines, "FROM base"].join("\n");
    const of = (...lines: readonly string[]) => op("time", {}, stage(...lines));
    expect(of("ARG V=v1", "ADD https://h/r.git?tag=$V /")).toMatchObject({
      kind: "git",
      ref: "refs/tags/v1",
      mtime: "commit",
    });
    expect(of("ADD https://h/dir/file.tar /")).toMatchObject({ kind: "http", filename: "file.tar" });
    const refused = (...lines: readonly string[]) => {
      try {
        of(...lines);
      } catch (error) {
        return messageOf(error);
      }
      return "";
    };
    const one = "SOURCE_DATE_EPOCH stage must contain exactly one remote ADD";
    expect(refused()).toContain(one);
    expect(refused("ADD https://h/a /", "ADD https://h/b /")).toContain(one);
    expect(refused("ADD https://h/a https://h/b /")).toContain(`${one} source`);
    expect(refused("ADD file /")).toContain("must be a single HTTP(S) or Git ADD");
    expect(refused("RUN true")).toContain("unsupported RUN instruction");
    expect(() => op("base", {}, "FROM busybox AS base\nADD https://h/a /")).toThrow("must use FROM scratch");
  });
});
