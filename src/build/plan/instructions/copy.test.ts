import { describe, expect, test } from "bun:test";
import type { BuildRequest } from "../../request.ts";
import { failure, file, first, op, target, vertices } from "../testdata/looks.ts";
import { planOf } from "../testdata/plans.ts";

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
