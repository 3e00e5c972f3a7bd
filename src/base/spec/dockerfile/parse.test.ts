import { describe, expect, test } from "bun:test";
import { TugError } from "../../lib/errors.ts";
import { randomNumbers } from "../../lib/testdata/random-numbers.ts";
import { DockerfileError, formatExcerpt } from "./error.ts";
import { Linter, lintSyntax, noLintConfig } from "./lint.ts";
import { parseMount } from "./mount.ts";
import { parseDockerfile } from "./parse.ts";
import type { StageInstruction } from "./syntax.ts";

/** The instructions of a stage as plain values, without what every node has. */
function nodes(text: string): readonly Record<string, unknown>[] {
  return parseDockerfile(`FROM scratch\n${text}`).stages.flatMap((stage) => stage.instructions.map(bare));
}

function bare(node: StageInstruction): Record<string, unknown> {
  const { keyword: _, source: __, range: ___, comments: ____, ...rest } = node;
  return rest;
}

const only = (text: string) => nodes(text)[0];
const errorOf = (text: string): DockerfileError => {
  try {
    parseDockerfile(text);
  } catch (error) {
    if (error instanceof DockerfileError) return error;
    throw error;
  }
  throw new Error(`no error: ${text}`);
};

describe("Lines", () => {
  test("may end in CRLF, begin with a byte order mark, and be of any case", () => {
    const file = parseDockerfile("\ufefffrom scratch\r\nrun echo \\\r\n  x\r\nEnV a=b\r\n");
    expect(file.stages[0]?.instructions.map((one) => [one.kind, one.keyword, one.source])).toEqual([
      ["RUN", "run", "run echo   x"],
      ["ENV", "EnV", "EnV a=b"],
    ]);
  });

  test("go on after a backslash, over comments and empty lines, which are told of", () => {
    const text = "FROM scratch\nRUN a \\\n# not a part\n   # nor this\n\n  b \\  \n c\\\\\nCMD x";
    const file = parseDockerfile(text);
    const [run, cmd] = file.stages[0]?.instructions ?? [];
    expect(run?.source).toBe("RUN a   b  c\\\\");
    expect([run?.range, cmd?.range.start.line]).toMatchObject([{ start: { line: 2 }, end: { line: 7 } }, 8]);
    expect(file.emptyContinuations).toMatchObject([{ start: { line: 7 } }]);
  });

  test("know directives only at the top", () => {
    const file = parseDockerfile(
      "# Syntax = a/b:1 \n#escape=`\n# check=skip=all\nFROM scratch\nRUN a `\n b\\\n",
    );
    expect(file.directives.map(({ name, value }) => [name, value])).toEqual([
      ["syntax", "a/b:1"],
      ["escape", "`"],
      ["check", "skip=all"],
    ]);
    expect(file.stages[0]?.instructions[0]?.source).toBe("RUN a  b\\");
    expect(parseDockerfile("# c\n# escape=`\nFROM a").escape).toBe("\\");
    expect(parseDockerfile("\n# escape=`\nFROM a").escape).toBe("\\");
    expect(errorOf("# escape=x\nFROM a").message).toBe("invalid escape token 'x' does not match ` or \\");
    expect(errorOf("# escape=`\n# escape=`\nFROM a").message).toBe(
      "only one escape parser directive can be used",
    );
  });

  test("of comments right above an instruction are kept with it", () => {
    const file = parseDockerfile("# x\n\n# base is it\nFROM scratch AS base\n# a\n#\n# b c\nARG b");
    expect(file.stages[0]?.from.comments).toEqual(["base is it"]);
    expect(file.stages[0]?.instructions[0]?.comments).toEqual(["b c"]);
  });

  test("that are gigantic are refused, as BuildKit refuses them; joined ones are not", () => {
    const fits = `RUN ${"x".repeat(65_531)}`;
    expect(only(fits)).toMatchObject({ kind: "RUN" });
    const error = errorOf(`FROM scratch\n${fits}y`);
    expect(error.message).toBe("dockerfile line greater than max allowed size of 65535");
    expect(error.ranges).toMatchObject([{ start: { line: 2 } }]);
    const joined = `RUN ${`${"x".repeat(1000)} \\\n`.repeat(3000)}end`;
    expect(only(joined)).toMatchObject({ kind: "RUN" });
  });
});

describe("Heredocs", () => {
  test("of RUN keep their content, quotes and tabs", () => {
    expect(only("RUN <<EOF\n a\n\tb $x\nEOF\n")).toMatchObject({
      command: {
        args: ["<<EOF"],
        heredocs: [{ name: "EOF", chomp: false, expand: true, content: " a\n\tb $x\n" }],
      },
    });
    expect(only("RUN cat <<-'A' 3<<\"B\"\n\tx\n\tA\ny\nB\n")).toMatchObject({
      command: {
        heredocs: [
          { name: "A", chomp: true, expand: false, content: "\tx\n" },
          { name: "B", chomp: false, expand: false, content: "y\n" },
        ],
      },
    });
  });

  test("of COPY and ADD are files", () => {
    expect(only("COPY <<a <<-b x /d/\n1\na\n\t2\nb\n")).toMatchObject({
      sources: ["x"],
      documents: [
        { name: "a", content: "1\n" },
        { name: "b", content: "2\n" },
      ],
      dest: "/d/",
    });
  });

  test("are none in JSON, in other instructions, or where the shell means something else", () => {
    expect(only('RUN ["cat", "<<EOF"]')).toMatchObject({ command: { heredocs: [] } });
    expect(only("CMD cat <<EOF")).toMatchObject({ command: { args: ["cat <<EOF"] } });
    expect(only("RUN cat <<<word")).toMatchObject({ command: { heredocs: [] } });
    expect(only("RUN echo don't <<EOF")).toMatchObject({ command: { heredocs: [] } });
  });

  test("must end, and cannot be a destination", () => {
    const error = errorOf("FROM a\nRUN <<EOF\nx\n EOF\n");
    expect([error.message, error.ranges]).toMatchObject(["unterminated heredoc", [{ end: { line: 4 } }]]);
    expect(errorOf("FROM a\nCOPY a <<EOF\nEOF\n").message).toContain(
      "COPY cannot accept a heredoc as a destination",
    );
  });
});

const good: readonly (readonly [text: string, node: Record<string, unknown>])[] = [
  ["ADD a b /c", { kind: "ADD", sources: ["a", "b"], dest: "/c", unpack: undefined, keepGitDir: undefined }],
  [
    "ADD --chown=a:b --chmod=755 --link --keep-git-dir=true --checksum=sha256:x --unpack=false --exclude=a --exclude=b x y",
    {
      chown: "a:b",
      chmod: "755",
      link: true,
      keepGitDir: true,
      checksum: "sha256:x",
      unpack: false,
      exclude: ["a", "b"],
    },
  ],
  [
    "COPY --chown=1 --from=x --chmod=u+x --link=false --exclude=*.o --parents a b",
    { kind: "COPY", chown: "1", from: "x", chmod: "u+x", link: false, exclude: ["*.o"], parents: true },
  ],
  ['COPY ["a b", "c"]', { sources: ["a b"], dest: "c" }],
  ["COPY -- --a b", { sources: ["--a"], dest: "b" }],
  ["COPY --from='a b' x y", { from: "a b" }],
  [
    "ARG a b=c d='e f'",
    {
      args: [
        { name: "a", value: undefined },
        { name: "b", value: "c" },
        { name: "d", value: "'e f'" },
      ],
    },
  ],
  ["CMD a  b", { kind: "CMD", command: { args: ["a  b"], shell: true, heredocs: [] } }],
  ['CMD ["a", "b c"]', { command: { args: ["a", "b c"], shell: false, heredocs: [] } }],
  ["CMD", { command: { args: [], shell: true, heredocs: [] } }],
  ["ENTRYPOINT ['a']", { kind: "ENTRYPOINT", command: { args: ["['a']"], shell: true, heredocs: [] } }],
  [
    'ENV a=b c="d e" f=g\\ h',
    {
      pairs: [
        { key: "a", value: "b", legacy: false },
        { key: "c", value: '"d e"', legacy: false },
        { key: "f", value: "g\\ h", legacy: false },
      ],
    },
  ],
  ["ENV a b  c", { pairs: [{ key: "a", value: "b  c", legacy: true }] }],
  ["LABEL a.b=c", { kind: "LABEL", pairs: [{ key: "a.b", value: "c", legacy: false }] }],
  ["EXPOSE 9 80-82/udp 22", { kind: "EXPOSE", values: ["22", "80-82/udp", "9"] }],
  [
    "HEALTHCHECK NONE",
    { health: { test: ["NONE"], interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 } },
  ],
  [
    "HEALTHCHECK --interval=1m30s --timeout=3s --start-period=1h --start-interval=500ms --retries=2 CMD a b",
    {
      health: {
        test: ["CMD-SHELL", "a b"],
        interval: 9e10,
        timeout: 3e9,
        startPeriod: 3.6e12,
        startInterval: 5e8,
        retries: 2,
      },
    },
  ],
  [
    'healthcheck cmd ["a"]',
    { health: { test: ["CMD", "a"], interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 } },
  ],
  ["MAINTAINER a b <c@d>", { kind: "MAINTAINER", value: "a b <c@d>" }],
  ["ONBUILD  run a  b", { kind: "ONBUILD", trigger: "run a  b" }],
  ["ONBUILD COPY <<E /x\n1\nE\n", { trigger: "COPY <<E /x\n1\nE" }],
  [
    "RUN --mount=type=cache,target=/a --mount=type=tmpfs,target=/b --network=none --security=insecure --device=a/b=c,required x",
    {
      mounts: ["type=cache,target=/a", "type=tmpfs,target=/b"],
      network: "none",
      security: "insecure",
      devices: [{ name: "a/b=c", required: true }],
      command: { args: ["x"], shell: true, heredocs: [] },
    },
  ],
  ['SHELL ["a", "-c"]', { kind: "SHELL", values: ["a", "-c"] }],
  ["STOPSIGNAL $S", { kind: "STOPSIGNAL", value: "$S" }],
  ["USER a:b", { kind: "USER", value: "a:b" }],
  ["VOLUME /a /b", { kind: "VOLUME", values: ["/a", "/b"] }],
  ['VOLUME ["/a b"]', { values: ["/a b"] }],
  ["WORKDIR /a b", { kind: "WORKDIR", value: "/a b" }],
];

describe("Instructions", () => {
  for (const [text, node] of good) test(text, () => expect(only(text)).toMatchObject(node));

  test("FROM names an image, a platform and a stage", () => {
    const { stages } = parseDockerfile("ARG x\nFROM --platform=$BUILDPLATFORM a:b as Build\nFROM c\n");
    expect(stages.map(({ from }) => [from.base, from.stage, from.platform])).toEqual([
      ["a:b", "build", "$BUILDPLATFORM"],
      ["c", undefined, ""],
    ]);
  });

  for (const [text, message] of [
    ["\\", "unknown instruction: "],
    ["RNU make", "unknown instruction: RNU (did you mean RUN?)"],
    ["entripoint x", "unknown instruction: entripoint (did you mean entrypoint?)"],
    ["XYZZY x", "unknown instruction: XYZZY"],
    [
      "COPY a",
      "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
    ],
    ["COPY --form=a b c", "unknown flag: --form (did you mean from?)"],
    ["COPY --nothing b c", "unknown flag: --nothing"],
    ["COPY --from=a --from=b b c", "duplicate flag specified: --from"],
    ["COPY --from b c", "missing a value on flag: --from"],
    ["COPY --link= b c", "missing a value on flag: --link"],
    ["COPY --link=maybe b c", "expecting boolean value for flag --link, not: maybe"],
    ["ADD --from=a b c", "unknown flag: --from"],
    ["WORKDIR", "WORKDIR requires exactly one argument"],
    ["WORKDIR --x /a", "unknown flag: --x"],
    ["EXPOSE", "EXPOSE requires at least one argument"],
    ['VOLUME [""]', "VOLUME specified can not be an empty string"],
    ["SHELL a b", "SHELL requires the arguments to be in JSON form"],
    ["SHELL []", "SHELL requires at least one argument"],
    ["ARG", "ARG requires at least one argument"],
    ["ARG =x", "ARG names can not be blank"],
    ["ENV =x", "ENV names can not be blank"],
    ["ENV", "ENV requires at least one argument"],
    ["HEALTHCHECK", "HEALTHCHECK requires at least one argument"],
    ["HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"],
    ["HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"],
    ["HEALTHCHECK RUN x", 'Unknown type "RUN" in HEALTHCHECK (try CMD)'],
    ["HEALTHCHECK --interval=x CMD a", 'time: invalid duration "x"'],
    ["HEALTHCHECK --interval=1us CMD a", 'Interval "interval" cannot be less than 1ms'],
    ["HEALTHCHECK --retries=-1 CMD a", "--retries cannot be negative (-1)"],
    ["HEALTHCHECK --retries=x CMD a", 'strconv.ParseInt: parsing "x": invalid syntax'],
    ["ONBUILD", "ONBUILD requires at least one argument"],
    ["ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
    ["ONBUILD from x", "FROM isn't allowed as an ONBUILD trigger"],
    ["ONBUILD MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger"],
    ["FROM a b", "FROM requires either one or three arguments"],
    [
      "FROM a AS 1x",
      'invalid name for build stage: "1x", name can\'t start with a number or contain symbols',
    ],
    ["FROM --paltform=x a", "unknown flag: --paltform (did you mean platform?)"],
    ["RUN --network=hst x", 'invalid network mode "hst" (did you mean host?)'],
    ["RUN --security=no x", 'security "no" is not valid'],
    [
      "RUN --mount=from=$x,target=/a x",
      "'from' doesn't support variable expansion, define alias stage instead",
    ],
    [
      'RUN --mount=a\\"b x',
      'failed to parse csv mounts: parse error on line 1, column 2: bare " in non-quoted field',
    ],
  ] as const) {
    test(`${text}: ${message}`, () => {
      const error = errorOf(`FROM scratch\n\n${text}\n`);
      expect(error.message).toBe(`dockerfile parse error on line 3: ${message}`);
      expect([error.code, error.ranges]).toMatchObject(["invalid-argument", [{ start: { line: 3 } }]]);
    });
  }

  for (const [text, message] of [
    ["", "the Dockerfile cannot be empty"],
    ["\n# x\n", "file with no instructions"],
    ["ARG a", "dockerfile contains no stages to build"],
    ["RUN a", "no build stage in current context"],
    ["FROM a\nENV x", "ENV must have two arguments"],
    ["FROM a\nENV a=b c", 'Syntax error - can\'t find = in "c". Must be of the form: name=value'],
    ["FROM a\nRUN [1]", "when using JSON array syntax, arrays must be comprised of strings only"],
  ] as const)
    test(`${JSON.stringify(text)}: ${message}`, () => expect(errorOf(text).message).toBe(message));

  test("An error shows the lines around its place", () => {
    const text = "FROM a\n\nRNU make\nCMD x\n# end\nUSER b\nUSER c";
    expect(formatExcerpt("Dockerfile", text, errorOf(text).ranges)).toBe(
      "Dockerfile:3\n--------------------\n   1 |     FROM a\n   2 |     \n   3 | >>> RNU make\n   4 |     CMD x\n   5 |     # end\n--------------------\n",
    );
  });
});

describe("Mounts", () => {
  const parse = (text: string) => parseMount(text, (word) => word.replaceAll("$V", "value"));
  const plain = {
    from: "",
    source: "",
    target: "",
    size: 0,
    id: "",
    sharing: undefined,
    required: false,
    env: undefined,
  };
  const ids = { mode: undefined, uid: undefined, gid: undefined };

  test("have keys with values, some bare, and variables in values", () => {
    expect(parse("target=/a,source=$V,from=b")).toEqual({
      ...{ ...plain, ...ids, type: "bind", readonly: true, target: "/a", source: "value", from: "b" },
    });
    expect(parse("type=CACHE,dst=/c,id=x,sharing=Locked,mode=0700,uid=1,gid=2,ro")).toEqual({
      ...{ ...plain, type: "cache", target: "/c", id: "x", sharing: "locked", mode: 0o700, uid: 1, gid: 2 },
      readonly: true,
    });
    expect(parse("type=tmpfs,destination=/t,size=1.5m")).toMatchObject({ size: 1_572_864, readonly: false });
    expect(parse("type=secret,id=s,env=E,required")).toMatchObject({ id: "s", env: "E", required: true });
    expect(parse("type=ssh,required=false")).toMatchObject({ type: "ssh", required: false });
    expect(parse("type=bind,target=/a,rw")).toMatchObject({ readonly: false });
    expect(parse("type=bind,target=/a,readwrite=false")).toMatchObject({ readonly: true });
  });

  for (const [text, message] of [
    ["type=chache,target=/a", 'unsupported mount type "chache" (did you mean cache?)'],
    ["taget=/a", "unexpected key 'taget' in 'taget=/a' (did you mean target?)"],
    ["target", "invalid field 'target' must be a key=value pair"],
    ["type=bind,required", "unexpected key 'required' for mount type 'bind'"],
    ["type=bind,size=1", "unexpected key 'size' for mount type 'bind'"],
    ["type=tmpfs,size=x", "invalid value for size: x"],
    ["type=cache,sharing=x", 'unsupported sharing value "x"'],
    ["type=bind,sharing=shared", "invalid cache sharing set for bind mount"],
    ["type=cache,mode=9", "invalid value 9 for mode"],
    ["type=cache,uid=x", "invalid value x for uid"],
    ["type=cache,gid=-1", "invalid value -1 for gid"],
    ["type=bind,uid=1", 'uid not allowed for "bind" type mounts'],
    ["ro=maybe", "invalid value for ro: maybe"],
    ["type=secret", "invalid secret mount. one of source, target required"],
    ["type=secret,id=a,source=b", "both source and id can't be set"],
    ["type=secret,id=a,from=b", "secret mount should not have a from"],
  ] as const)
    test(`${text}: ${message}`, () => expect(() => parse(text)).toThrow(message));
});

/** Pieces that Dockerfiles are made of, and what breaks them. */
const pieces = [
  ...[
    "FROM a\n",
    "FROM --platform=$P b AS c\n",
    "RUN ",
    "COPY ",
    "ADD ",
    "ENV ",
    "ARG ",
    "LABEL ",
    "ONBUILD ",
  ],
  ...[
    "HEALTHCHECK ",
    "SHELL ",
    "EXPOSE ",
    "VOLUME ",
    "CMD ",
    "\n",
    "\r\n",
    "\\\n",
    "\\",
    "`",
    "# escape=`\n",
    "#",
  ],
  ...[
    "<<EOF",
    "<<-'E'",
    "EOF\n",
    "E\n",
    '["a"',
    "]",
    '"',
    "'",
    "$",
    "${A:-",
    "}",
    "--mount=type=cache",
    "--",
    "=",
  ],
  ...[" ", "\t", "\ufeff", "é", "😀", "\ud800", "\0", "a", "1", ",", "NONE", "--interval=1s"],
];

test("Whatever a file holds, it becomes a tree or an error with a place", () => {
  for (const seed of [1, 2, 3]) {
    const random = randomNumbers(seed);
    for (let round = 0; round < 1500; round++) {
      const count = Math.ceil(random() * 25);
      let text = random() < 0.7 ? "FROM x\n" : "";
      for (let i = 0; i < count; i++) text += pieces[Math.floor(random() * pieces.length)];
      parseOrFail(text);
    }
  }
}, 60_000);

function parseOrFail(text: string): void {
  try {
    const file = parseDockerfile(text);
    lintSyntax(file, new Linter(noLintConfig));
    for (const { instructions } of file.stages)
      for (const node of instructions)
        if (node.kind === "RUN") for (const mount of node.mounts) parseMount(mount, (word) => word);
  } catch (error) {
    if (!(error instanceof TugError)) throw new Error(`${JSON.stringify(text)}: ${error}`, { cause: error });
    if (error instanceof DockerfileError) formatExcerpt("Dockerfile", text, error.ranges);
  }
}

test("Long files and long lines take time in proportion", () => {
  const began = performance.now();
  const lines = (line: string) => `FROM a\n${line.repeat(250_000 / line.length)}`;
  for (const text of [
    lines("RUN x\n"),
    lines("RUN x \\\n"),
    lines("# comment\n"),
    lines("ARG a\n"),
    lines("ENV a=b c=d e=f\n"),
    lines("COPY <<E /x\na\nE\n"),
    lines("RUN a <<E\n"),
    lines("\\\n"),
    lines("FROM b\n"),
    lines("ONBUILD "),
    `FROM a\nRUN ${"[".repeat(60_000)}`,
    `FROM a\nENV a=${'"'.repeat(60_000)}`,
    `FROM a\nRUN ${"<<A ".repeat(15_000)}`,
    `FROM a\nRUN --mount=${"a,".repeat(30_000)} x`,
  ])
    parseOrFail(text);
  // Far above what it takes: what is quadratic takes hours.
  expect(performance.now() - began).toBeLessThan(60_000);
}, 90_000);
