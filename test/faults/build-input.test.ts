import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Builds, contextTar } from "../harness/builds.ts";
import { TestDaemon } from "../harness/daemon.ts";
import { file, tarEnd } from "../harness/raw-tar.ts";

// A machine under load takes its time.
setDefaultTimeout(120_000);

let daemon: TestDaemon;
let builds: Builds;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  builds = new Builds(daemon);
});
afterAll(async () => {
  builds[Symbol.dispose]();
  await daemon.stopAndClose();
});

const lines = (count: number, line: (index: number) => string) =>
  Array.from({ length: count }, (_, i) => line(i));
/** Said by somebody who did not expect it. */
const accident = /internal error|undefined|is not a function|Cannot read|Maximum call stack|\[object/;

test("what is wrong with a Dockerfile is said in words, and the daemon goes on", async () => {
  const wrong: readonly (readonly [string, string | Uint8Array, RegExp])[] = [
    ["nothing", "", /empty/],
    ["only comments", "# a\n\n# b\n", /no instructions|empty/],
    ["no FROM", "RUN true\n", /no build stage/],
    ["a cycle", "FROM b AS a\nFROM a AS b\n", /b/],
    [
      "a cycle of copies",
      "FROM busybox AS a\nCOPY --from=b /x /x\nFROM busybox AS b\nCOPY --from=a /x /x\n",
      /b|circular/,
    ],
    ["itself", "FROM busybox AS a\nCOPY --from=a /x /x\n", /a|circular/],
    ["an unknown instruction", "FROM busybox\nRUNN true\n", /unknown instruction.*RUNN/is],
    ["an unknown flag", "FROM busybox\nRUN --muont=type=cache,target=/x true\n", /unknown flag|muont/],
    ["a bad mount", "FROM busybox\nRUN --mount=type=nosuch,target=/x true\n", /mount type|nosuch/],
    ["a mount without target", "FROM busybox\nRUN --mount=type=tmpfs true\n", /target/],
    ["a mount over the root", "FROM busybox\nRUN --mount=type=tmpfs,target=/ true\n", /\//],
    ["a missing file", "FROM busybox\nCOPY nosuch /x\n", /file not found.*stat nosuch/is],
    ["a missing stage", "FROM busybox\nCOPY --from=9 /x /x\n", /9/],
    ["an endless heredoc", "FROM busybox\nRUN <<EOF\necho\n", /heredoc|EOF/],
    ["a bad chmod", "FROM busybox\nCOPY --chmod=999 Dockerfile /x\n", /chmod|999/],
    ["an unknown user", "FROM busybox\nCOPY --chown=nosuch Dockerfile /x\n", /nosuch|user/],
    ["NUL in an instruction", "FROM busybox\nRUN echo a\0b\n", /./],
    ["NUL in a path", "FROM busybox\nCOPY Docker\0file /x\n", /./],
    [
      "no UTF-8",
      Buffer.from([...Buffer.from("FROM busybox\nLABEL a="), 0xff, 0xfe, 0x0a, ...Buffer.from("NOSUCH x\n")]),
      /NOSUCH/,
    ],
    ["an exit code", "FROM busybox\nRUN exit 42\n", /42/],
    ["no such program", 'FROM busybox\nRUN ["/nosuch"]\n', /nosuch/],
  ];
  const outcomes = await Promise.all(
    wrong.map(
      async ([what, Dockerfile]) => [what, (await builds.classic({ Dockerfile })).error ?? "built"] as const,
    ),
  );
  const surprises = outcomes.filter(
    ([, error], index) => error === "built" || accident.test(error) || !wrong[index]?.[2].test(error),
  );
  expect(surprises).toEqual([]);
  expect(await daemon.ping()).toBe(true);
});

test("what is only large works, or is refused in words", async () => {
  const large: readonly (readonly [string, string, boolean | undefined])[] = [
    ["a line of 60 kB", `FROM busybox\nRUN true ${"x".repeat(60_000)}\n`, true],
    ["a line of 1 MB", `FROM busybox\nRUN true ${"x".repeat(1_000_000)}\n`, undefined],
    ["a line of 20 MB", `FROM busybox\nRUN true ${"x".repeat(20_000_000)}\n`, undefined],
    [
      "1,000 stages",
      `${lines(1000, (i) => `FROM ${i === 0 ? "scratch" : `s${i - 1}`} AS s${i}\nLABEL l${i}=1`).join("\n")}\n`,
      true,
    ],
    [
      "5,000 instructions",
      `FROM busybox\n${lines(5000, (i) => `ENV E${i % 10}=${i}`).join("\n")}\n`,
      undefined,
    ],
    [
      "5,000 continued lines",
      `FROM busybox\nRUN ${lines(5000, () => "true && \\").join("\n")}\n true\n`,
      true,
    ],
    [
      "1,000 arguments",
      `${lines(1000, (i) => `ARG A${i}=\${A${i - 1}:-x}`).join("\n")}\nFROM busybox\n`,
      true,
    ],
  ];
  const surprises: unknown[] = [];
  for (const [what, Dockerfile, works] of large) {
    const { error } = await builds.classic({ Dockerfile });
    if (accident.test(error ?? "") || (works && error !== undefined)) surprises.push([what, error]);
  }
  expect(surprises).toEqual([]);
  expect(await daemon.ping()).toBe(true);
});

test("an image of 130 layers runs, and can be built on", async () => {
  const Dockerfile = `FROM busybox\n${lines(130, (i) => `COPY Dockerfile /f${i}`).join("\n")}\n`;
  expect((await builds.classic({ Dockerfile }, { t: "deep" })).error).toBeUndefined();
  expect(await daemon.ok(["run", "--rm", "deep", "sh", "-c", "ls / | grep -c ^f"])).toBe("130");
  const on = "FROM deep\nRUN ls / | grep -c ^f >/count && rm /f7 /f129\n";
  expect((await builds.classic({ Dockerfile: on }, { t: "deeper" })).error).toBeUndefined();
  expect(await daemon.ok(["run", "--rm", "deeper", "sh", "-c", "cat /count; ls / | grep -c ^f"])).toBe(
    "130\n128",
  );
});

test("bodies that are no context, and parameters that are none, are refused in words", async () => {
  const good = contextTar({ Dockerfile: "FROM busybox\n" });
  const bodies: readonly (readonly [string, Uint8Array])[] = [
    ["nothing", new Uint8Array()],
    ["noise", crypto.getRandomValues(new Uint8Array(5000))],
    ["text", Buffer.from("FROM busybox\n")],
    ["cut in a header", good.subarray(0, 300)],
    ["cut in a file", Buffer.concat([file("a", "", { data: new Uint8Array(100_000) }).subarray(0, 9000)])],
    ["a size that lies", Buffer.concat([file("Dockerfile", "FROM busybox\n", { size: 2 ** 32 }), tarEnd])],
    ["half of a gzip", Bun.gzipSync(new Uint8Array(good)).subarray(0, 60)],
  ];
  for (const [what, body] of bodies) {
    const { error = "built" } = await builds.classic(body);
    expect([what, error === "built", accident.test(error)]).toEqual([what, false, false]);
  }
  const queries: Record<string, string>[] = [
    { buildargs: "{" },
    { buildargs: "[1]" },
    { buildargs: '{"a":{"b":1}}' },
    { labels: "7" },
    { cachefrom: '{"a":1}' },
    { ulimits: "[7]" },
    { outputs: "x" },
    { shmsize: "many" },
    { memory: "-" },
    { platform: "no/such/platform/at/all" },
    { t: "UPPER//case" },
    { extrahosts: "nonsense" },
    { remote: "file:///etc" },
    { target: "nosuch" },
  ];
  for (const query of queries) {
    const { error = "built" } = await builds.classic(good, query);
    expect([query, error === "built", accident.test(error)]).toEqual([query, false, false]);
  }
  // What is null is not there: so Go's clients write what is empty.
  const nulls = { buildargs: "null", labels: "null", cachefrom: "null", ulimits: "null", unknown: "x" };
  expect((await builds.classic(good, nulls)).error).toBeUndefined();
  const config = await builds.classic(good, {}, { headers: { "x-registry-config": "%%%" } });
  expect(config.error ?? "ignored").not.toMatch(accident);
  expect(await daemon.ping()).toBe(true);
});
