import { afterEach, expect, setSystemTime, test } from "bun:test";
import type { ProgressMessage } from "../../client/images/progress.ts";
import type { Output } from "../io/output.ts";
import { progressText } from "./bar.ts";
import { showProgress, silentOutput } from "./display.ts";

/** Collects what is written; `screen` gives the lines a terminal would show after it. */
function recorder(width: number) {
  let text = "";
  const out: Output = {
    ...silentOutput,
    write: async (chunk) => {
      text += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
    },
    isTerminal: width > 0,
    size: () => ({ width, height: 24 }),
  };
  return { out, text: () => text, screen: () => screenOf(text) };
}

/** The few control sequences that progress uses: up, down, clear line, carriage return. */
function screenOf(text: string): string[] {
  const lines: string[] = [""];
  let row = 0;
  let column = 0;
  for (const [, up, down, clear, char] of text.matchAll(/\x1b\[(\d+)A|\x1b\[(\d+)B|(\x1b\[2K)|([\s\S])/g)) {
    if (up !== undefined) row -= Number(up);
    else if (down !== undefined) row += Number(down);
    else if (clear !== undefined) lines[row] = "";
    else if (char === "\r") column = 0;
    else if (char === "\n") {
      row++;
      column = 0;
      lines[row] ??= "";
    } else {
      const line = (lines[row] ?? "").padEnd(column);
      lines[row] = line.slice(0, column) + char + line.slice(column + 1);
      column++;
    }
  }
  return lines.map((line) => line.trimEnd());
}

async function* stream(messages: readonly ProgressMessage[]) {
  yield* messages;
}

const pull: readonly ProgressMessage[] = [
  { status: "Pulling from test/app", id: "1" },
  { status: "Pulling fs layer", progressDetail: {}, id: "aaa" },
  { status: "Pulling fs layer", progressDetail: {}, id: "bbb" },
  { status: "Downloading", progressDetail: { current: 512, total: 1024 }, id: "bbb" },
  { status: "Pulling fs layer", progressDetail: {}, id: "ccc" },
  { status: "Downloading", progressDetail: { current: 1024, total: 1024 }, id: "aaa" },
  { status: "Pull complete", progressDetail: {}, id: "bbb" },
  { status: "Already exists", progressDetail: {}, id: "ccc" },
  { status: "Pull complete", progressDetail: {}, id: "aaa" },
  { status: "Digest: sha256:1" },
  { status: "Status: Downloaded newer image for test/app:1" },
];

afterEach(() => void setSystemTime());

test("without a terminal every status is a line and moving amounts are left out", async () => {
  const { out, text } = recorder(0);
  await showProgress(stream(pull), out);
  expect(text()).toBe(`1: Pulling from test/app
aaa: Pulling fs layer
bbb: Pulling fs layer
ccc: Pulling fs layer
bbb: Pull complete
ccc: Already exists
aaa: Pull complete
Digest: sha256:1
Status: Downloaded newer image for test/app:1
`);
});

test("on a terminal each layer keeps its own line", async () => {
  const { out, screen } = recorder(80);
  await showProgress(stream(pull), out);
  expect(screen()).toEqual([
    "1: Pulling from test/app",
    "aaa: Pull complete",
    "bbb: Pull complete",
    "ccc: Already exists",
    "Digest: sha256:1",
    "Status: Downloaded newer image for test/app:1",
    "",
  ]);
});

test("a bar stands in the line of its layer while it moves", async () => {
  // After a second it would say how long it still takes.
  setSystemTime(new Date(1_700_000_000_000));
  const { out, screen } = recorder(120);
  await showProgress(stream(pull.slice(0, 6)), out);
  expect(screen()[2]).toBe(`bbb: Downloading [${"=".repeat(25)}>${" ".repeat(25)}]     512B/1.024kB`);
});

test("a second block of layers does not touch the lines of the first", async () => {
  const { out, screen } = recorder(80);
  await showProgress(
    stream([
      { status: "Preparing", progressDetail: {}, id: "aaa" },
      { status: "Pushed", progressDetail: {}, id: "aaa" },
      { status: "1: digest: sha256:1 size: 5" },
      { status: "Preparing", progressDetail: {}, id: "aaa" },
      { status: "Layer already exists", progressDetail: {}, id: "aaa" },
    ]),
    out,
  );
  expect(screen()).toEqual(["aaa: Pushed", "1: digest: sha256:1 size: 5", "aaa: Layer already exists", ""]);
});

test("an error in the stream is thrown with its message, and what came before it is shown", async () => {
  const { out, text } = recorder(0);
  const failing = stream([
    { stream: "Loaded image: a:1\n" },
    { error: "broken", errorDetail: { message: "no space left" } },
  ]);
  await expect(showProgress(failing, out)).rejects.toThrow("no space left");
  expect(text()).toBe("Loaded image: a:1\n");
  await expect(showProgress(stream([{ error: "broken" }]), silentOutput)).rejects.toThrow("broken");
});

test("extra values go to whoever asked for them", async () => {
  const seen: unknown[] = [];
  await showProgress(stream([{ aux: { ID: "sha256:1" } }]), silentOutput, (value) => seen.push(value));
  expect(seen).toEqual([{ ID: "sha256:1" }]);
});

test.each([
  [{}, 200, ""],
  [{ current: 0, total: 0 }, 200, ""],
  [{ current: 2000 }, 200, "     2kB"],
  [{ current: 3, units: "layers" }, 200, "3 layers"],
  [{ current: 0, total: 1024 }, 80, "      0B/1.024kB"],
  [{ current: 0, total: 1024 }, 120, `[>${" ".repeat(50)}]       0B/1.024kB`],
  [{ current: 2048, total: 1024 }, 120, `[${"=".repeat(50)}>]  2.048kB`],
  [{ current: 1, total: 4, units: "files" }, 80, "1/4 files"],
  [{ current: 1, total: 2, hidecounts: true }, 120, `[${"=".repeat(25)}>${" ".repeat(25)}] `],
] as const)("amounts are written as Docker writes them: %j at width %d", (detail, width, text) => {
  expect(progressText(detail, width, 0)).toBe(text);
});

test("the time left is told after a second, where there is room", () => {
  expect(progressText({ current: 1000, total: 91_000 }, 80, 1000)).toBe("     1kB/91kB 1m30s");
  expect(progressText({ current: 1000, total: 91_000 }, 50, 1000)).toBe("     1kB/91kB");
  expect(progressText({ current: 1000, total: 91_000 }, 80, 999)).toBe("     1kB/91kB");
});
