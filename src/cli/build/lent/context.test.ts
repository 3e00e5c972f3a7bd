import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Input } from "../../io/input.ts";
import { prepareContext } from "./context.ts";
import { readSecrets } from "./secrets.ts";

let folder: string;
let undo: DisposableStack;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tug-context-"));
  undo = new DisposableStack();
});
afterEach(() => {
  undo.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** Standard input that comes in small pieces. */
function typed(content: string | Uint8Array): Input {
  const bytes = Buffer.from(content);
  const pieces: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; start += 100) pieces.push(bytes.subarray(start, start + 100));
  return {
    isTerminal: false,
    async *chunks() {
      for (let piece = pieces.shift(); piece; piece = pieces.shift()) yield piece;
    },
    putBack: (chunk) => void pieces.unshift(chunk),
    setRaw: () => undefined,
  };
}

const prepare = (
  path: string,
  options: { file?: string; named?: Record<string, string>; input?: Input } = {},
) => prepareContext({ path, file: "", named: {}, input: typed(""), ...options }, undo);

describe("a directory", () => {
  test("is lent with its Dockerfile, under a key of its own that tells nothing", async () => {
    const context = await prepare(folder);
    expect(context.attrs).toEqual({ filename: "Dockerfile" });
    expect(context.directories).toEqual({ context: { path: folder }, dockerfile: { path: folder } });
    expect(context.sharedKey).toMatch(/^[0-9a-f]{64}$/);
    expect((await prepare(folder)).sharedKey).toBe(context.sharedKey);
    expect((await prepare(tmpdir())).sharedKey).not.toBe(context.sharedKey);
  });

  test("may have its Dockerfile in small letters or elsewhere", async () => {
    writeFileSync(join(folder, "dockerfile"), "FROM scratch\n");
    expect((await prepare(folder)).attrs["filename"]).toBe("dockerfile");
    mkdirSync(join(folder, "sub"));
    const context = await prepare(folder, { file: join(folder, "sub/Web.Dockerfile") });
    expect(context.attrs["filename"]).toBe("Web.Dockerfile");
    expect(context.directories["dockerfile"]).toEqual({ path: join(folder, "sub") });
  });

  test("may have its Dockerfile on standard input", async () => {
    const context = await prepare(folder, { file: "-", input: typed("FROM scratch\n") });
    expect(context.attrs).toEqual({ filename: "Dockerfile", dockerfilekey: "dockerfile" });
    const made = context.directories["dockerfile"]?.path ?? "";
    expect(readFileSync(join(made, "Dockerfile"), "utf8")).toBe("FROM scratch\n");
    undo.dispose();
    expect(existsSync(made)).toBe(false);
  });

  test("that is none is told in Docker's words", async () => {
    await expect(prepare("x/y")).rejects.toThrow('unable to prepare context: path "x/y" not found');
    await expect(prepare(folder, { file: join(folder, "no/Dockerfile") })).rejects.toThrow(
      "no such file or directory",
    );
  });
});

describe("standard input", () => {
  test("with a tar is the context", async () => {
    writeFileSync(join(folder, "Dockerfile"), "FROM scratch\n");
    const tar = Bun.spawnSync(["tar", "-C", folder, "-cf", "-", "."]).stdout;
    for (const bytes of [tar, Bun.gzipSync(new Uint8Array(tar))]) {
      const context = await prepare("-", { input: typed(bytes) });
      const [[key = "", body] = []] = context.uploads;
      expect(context.attrs).toEqual({ context: `http://buildkit-session/${key}`, filename: "Dockerfile" });
      const parts: Uint8Array[] = [];
      for await (const part of body ?? []) parts.push(part);
      expect(Buffer.concat(parts).equals(Buffer.from(bytes))).toBe(true);
    }
  });

  test("with text is a Dockerfile without a context", async () => {
    const context = await prepare("-", { input: typed("FROM scratch\n") });
    const { path = "" } = context.directories["dockerfile"] ?? {};
    expect(readFileSync(join(path, "Dockerfile"), "utf8")).toBe("FROM scratch\n");
    expect(context.directories["context"]?.path).not.toBe(path);
    await expect(prepare("-", { input: typed("FROM scratch\n"), file: "x" })).rejects.toThrow(
      "ambiguous Dockerfile source",
    );
    await expect(prepare("-", { file: "-" })).rejects.toThrow(
      "can't use stdin for both build context and dockerfile",
    );
  });
});

test("addresses are the daemon's to fetch", async () => {
  const git = await prepare("https://example.com/a.git#main:sub", { file: "D" });
  expect(git.attrs).toEqual({ context: "https://example.com/a.git#main:sub", filename: "D" });
  expect(git.directories).toEqual({});
});

test("named contexts: directories are lent, the rest is told", async () => {
  const { attrs, directories } = await prepare(folder, {
    named: { base: "docker-image://busybox", src: folder, context: folder, repo: "https://x.test/r.git" },
  });
  expect(attrs).toMatchObject({
    "context:base": "docker-image://busybox",
    "context:src": "local:src",
    "context:context": "local:_context",
    "context:repo": "https://x.test/r.git",
  });
  expect(Object.keys(directories).sort()).toEqual(["_context", "context", "dockerfile", "src"]);
  await expect(prepare(folder, { named: { a: join(folder, "no") } })).rejects.toThrow(
    "failed to get build context a",
  );
});

describe("secrets", () => {
  test("come from files, from variables, or from what has their name", async () => {
    const path = join(folder, "key");
    writeFileSync(path, "from file");
    const env = { VAR: "from variable", named: "by name" };
    const read = readSecrets(
      [
        `id=a,src=${path}`,
        "id=b,env=VAR",
        "id=c,type=env,src=VAR",
        "id=named",
        `type=file,id=d,source=${path}`,
      ],
      env,
    );
    const text = async (id: string) => Buffer.from((await read(id)) ?? "none").toString();
    expect(await Promise.all(["a", "b", "c", "named", "d", "e"].map(text))).toEqual([
      "from file",
      "from variable",
      "from variable",
      "by name",
      "from file",
      "none",
    ]);
  });

  test.each([
    ["src=x", "secret missing ID"],
    ["id=x,src=/no/such", "failed to stat /no/such: stat /no/such: no such file or directory"],
    ["id=x,type=y", 'unsupported secret type "y"'],
    ["id=x,foo=y", "unexpected key 'foo' in 'foo=y'"],
    ["id", "invalid field 'id' must be a key=value pair"],
  ])("%p: %s", (text, message) => {
    expect(() => readSecrets([text], {})).toThrow(message);
  });
});
