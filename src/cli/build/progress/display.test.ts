import { describe, expect, test } from "bun:test";
import type { SolveEvent, SolveVertex } from "../../../client/build/events.ts";
import type { Output } from "../../io/output.ts";
import { silentOutput } from "../../progress/display.ts";
import { buildDisplay, type ProgressMode } from "./display.ts";
import { failedSteps, warningList } from "./report.ts";
import { BuildTrace } from "./trace.ts";
import { EventTeller } from "./watch.ts";

const second = 1_000_000_000n;
const at = (seconds: number) => 1_700_000_000n * second + BigInt(Math.round(seconds * 1e9));
const nothing: SolveEvent = { vertexes: [], statuses: [], logs: [], warnings: [] };

function vertex(
  name: string,
  started: number | undefined,
  completed?: number,
  more: Partial<SolveVertex> = {},
): SolveVertex {
  return {
    digest: `sha256:${name}`,
    inputs: [],
    name,
    cached: false,
    started: started === undefined ? undefined : at(started),
    completed: completed === undefined ? undefined : at(completed),
    error: "",
    ...more,
  };
}

const log = (name: string, seconds: number, text: string) => ({
  vertex: `sha256:${name}`,
  stream: 1,
  data: Buffer.from(text),
  at: at(seconds),
});

const warning = {
  vertex: "sha256:[internal] load build definition from Dockerfile",
  level: 1,
  short: "FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)",
  detail: ["The 'as' keyword should match the case of the 'from' keyword"],
  url: "https://docs.docker.com/go/dockerfile/rule/from-as-casing/",
  source: {
    file: "Dockerfile",
    text: "FROM busybox as x\nRUN false\n",
    language: "Dockerfile",
    ranges: [{ start: 1, end: 1 }],
  },
};

/** A build as a daemon told of it: two steps side by side, one that fails, one that is cached. */
const events: readonly SolveEvent[] = [
  { ...nothing, vertexes: [vertex("[internal] load build definition from Dockerfile", 0)] },
  {
    vertexes: [
      vertex("[internal] load build definition from Dockerfile", 0, 0.1),
      vertex("[1/3] FROM busybox", undefined, undefined),
    ],
    statuses: [
      {
        id: "transferring dockerfile:",
        vertex: "sha256:[internal] load build definition from Dockerfile",
        name: "transferring",
        current: 1234,
        total: 0,
        at: at(0.1),
        started: at(0),
        completed: at(0.1),
      },
    ],
    logs: [],
    warnings: [warning],
  },
  { ...nothing, vertexes: [vertex("[1/3] FROM busybox", 0.1, 0.1, { cached: true })] },
  { ...nothing, vertexes: [vertex("[2/3] RUN make", 0.2), vertex("[other 1/1] RUN sleep 9", 0.2)] },
  { ...nothing, logs: [log("[2/3] RUN make", 0.45, "compiling 日本\nhalf a ")] },
  {
    ...nothing,
    logs: [log("[2/3] RUN make", 0.5, "line\n"), log("[other 1/1] RUN sleep 9", 0.6, "waiting\n")],
  },
  {
    ...nothing,
    vertexes: [
      vertex("[2/3] RUN make", 0.2, 1.2, {
        error: 'process "make" did not complete successfully: exit code: 2',
      }),
      vertex("[other 1/1] RUN sleep 9", 0.2, 1.3, { error: "context canceled" }),
    ],
    logs: [log("[2/3] RUN make", 1.1, "no rule")],
  },
];

interface Shown {
  readonly size?: { readonly width: number; readonly height: number };
  readonly env?: Readonly<Record<string, string>>;
  readonly told?: readonly SolveEvent[];
}

async function shown(
  mode: ProgressMode,
  { size = { width: 0, height: 0 }, env = {}, told = events }: Shown = {},
) {
  let text = "";
  const out: Output = {
    ...silentOutput,
    write: async (chunk) => {
      text += String(chunk);
    },
    isTerminal: size.width > 0,
    size: () => size,
  };
  let seconds = 0;
  const display = buildDisplay(mode, out, { now: () => at(seconds), label: "tug", env });
  const teller = new EventTeller(display.trace);
  for (const event of told) {
    teller.tell(event);
    display.settle?.();
    seconds = 1.3;
  }
  await display.finish();
  return { text, display };
}

describe("how a build is shown", () => {
  test("plain: blocks of lines that name their step, as BuildKit's clients print them", async () => {
    const { text } = await shown("plain");
    expect(text.split("\n")).toEqual([
      "#1 [internal] load build definition from Dockerfile",
      "#1 transferring dockerfile: 1.23kB 0.1s done",
      "#1 WARN: FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)",
      "#1 DONE 0.1s",
      "",
      "#2 [1/3] FROM busybox",
      "#2 CACHED",
      "",
      "#3 [2/3] RUN make",
      "#3 0.250 compiling 日本",
      "#3 0.300 half a line",
      "#3 ...",
      "",
      "#4 [other 1/1] RUN sleep 9",
      "#4 0.400 waiting",
      "#4 ...",
      "",
      "#3 [2/3] RUN make",
      "#3 1.000 no rule",
      '#3 ERROR: process "make" did not complete successfully: exit code: 2',
      "",
      "#4 [other 1/1] RUN sleep 9",
      "#4 CANCELED",
      "",
    ]);
  });

  test("plain: what a step said that began and ended between two looks is shown", async () => {
    const name = "RUN echo hello";
    const told = [
      { ...nothing, vertexes: [vertex(name, undefined)] },
      { ...nothing, vertexes: [vertex(name, 1, 1.01)], logs: [log(name, 1.005, "hello\n")] },
    ];
    const { text } = await shown("plain", { told });
    expect(text).toBe("#1 RUN echo hello\n#1 0.005 hello\n#1 DONE 0.0s\n");
  });

  test("rawjson: every thing that happens is a line of BuildKit's SolveStatus", async () => {
    const { text } = await shown("rawjson");
    const lines = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, readonly Record<string, unknown>[]>);
    const all = (member: string) => lines.flatMap((line) => line[member] ?? []);
    expect(all("vertexes").at(-1)).toEqual({
      digest: "sha256:[other 1/1] RUN sleep 9",
      name: "[other 1/1] RUN sleep 9",
      started: "2023-11-14T22:13:20.2Z",
      completed: "2023-11-14T22:13:21.3Z",
      error: "context canceled",
    });
    expect(all("logs").map(({ data }) => Buffer.from(String(data), "base64").toString())).toEqual([
      "compiling 日本\nhalf a ",
      "line\n",
      "waiting\n",
      "no rule",
    ]);
    expect(all("statuses")[0]).toMatchObject({ id: "transferring dockerfile:", current: 1234 });
    expect(Buffer.from(String(all("warnings")[0]?.["short"]), "base64").toString()).toBe(warning.short);
  });

  test("tty: a picture that fits the terminal, each line as wide as it at most, the whole build in the end", async () => {
    const { text } = await shown("tty", { size: { width: 40, height: 6 } });
    const last = text.slice(text.lastIndexOf("[+] Building"));
    const lines = Bun.stripANSI(last)
      .split("\n")
      .filter((line) => line !== "");
    expect(lines).toEqual([
      "[+] Building 1.3s (4/4) FINISHED    tug",
      " => [internal] load build definit… 0.1s",
      " => => transferring dockerfile: 1… 0.1s",
      " => CACHED [1/3] FROM busybox      0.0s",
      " => ERROR [2/3] RUN make           1.0s",
      " => CANCELED [other 1/1] RUN slee… 1.1s",
    ]);
    for (const line of lines) expect(Bun.stringWidth(line)).toBeLessThan(40);
  });

  test("tty: what a name holds moves no cursor, what is typed shifts no line, and the environment says the colours", async () => {
    const name = "[1/1] RUN a &&\tb \x1b[2J\x07\x9b1A c";
    const told = [{ ...nothing, vertexes: [vertex(name, 0, 1)] }];
    const env = { BUILDKIT_COLORS: "run=green" };
    const { text } = await shown("tty", { size: { width: 60, height: 9 }, env, told });
    expect(text.slice(text.lastIndexOf("\x1b[?25l"))).toStartWith("\x1b[?25l\r");
    expect(text).toContain("\x1b[32m => [1/1] RUN a &&    b ");
    expect(Bun.stripANSI(text.slice(text.indexOf(" =>")))).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  });

  test("quiet and none: nothing", async () => {
    expect((await shown("quiet")).text).toBe("");
    expect((await shown("none")).text).toBe("");
  });
});

describe("what is said in the end", () => {
  test("the last lines of the step that failed, and not of those that ended because of it", async () => {
    const { display } = await shown("plain");
    const { trace } = display;
    if (!(trace instanceof BuildTrace)) throw new Error("plain keeps a trace");
    expect(failedSteps(trace.vertices, 2)).toBe(
      "------\n > [2/3] RUN make:\n0.300 half a line\n1.000 no rule\n------\n",
    );
  });

  test("warnings by rule and line; with detail their lines of the Dockerfile too", () => {
    expect(warningList([], false, "")).toBe("");
    expect(warningList([warning], false, "")).toBe(
      `\n 1 warning found (use tug --debug to expand):\n - ${warning.short}\n`,
    );
    expect(warningList([warning, warning], true, "")).toStartWith("\n 2 warnings found:\n - ");
    expect(warningList([warning], true, "")).toContain(
      [
        "The 'as' keyword should match the case of the 'from' keyword",
        "More info: https://docs.docker.com/go/dockerfile/rule/from-as-casing/",
        "Dockerfile:1",
        "--------------------",
        "   1 | >>> FROM busybox as x",
      ].join("\n"),
    );
  });
});
