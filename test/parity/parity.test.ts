import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { type Result, run, TestDaemon } from "../harness/daemon.ts";
import { RealDocker } from "../harness/real-docker.ts";
import { differences } from "./differences.ts";
import { scenarios } from "./scenarios.ts";

/** The same client tells the same story to Tug and to Debian's dockerd; outputs and exit codes must agree. */
const missing = RealDocker.missing();
if (missing) console.log(`skipped: parity with the real Docker: ${missing}`);
const client = "/usr/bin/docker";

let tug: TestDaemon;
let docker: RealDocker;
beforeAll(async () => {
  if (missing) return;
  [tug, docker] = await Promise.all([TestDaemon.start(), RealDocker.start()]);
}, 60_000);
afterAll(async () => {
  await tug?.close();
  await docker?.close();
}, 60_000);

/** What legitimately differs: ids, times, sizes of things the two made separately, pids. */
function normal(text: string): string {
  return text
    .replaceAll("\r", "")
    .replace(/sha256:[0-9a-f]{64}/g, "<digest>")
    .replace(/\b[0-9a-f]{64}\b/g, "<id>")
    .replace(/\b[0-9a-f]{12}\b/g, "<short>")
    .replace(/\b172\.\d+\.\d+\.\d+/g, "<ip>")
    .replace(/^time="[^"]*" /gm, "")
    .replace(/\/tmp\/tug-[\w-]+/g, "<root>")
    .replace(/[ \t]+$/gm, "")
    .trimEnd();
}

async function tell(
  host: string,
  steps: readonly (readonly string[])[],
  input: string | undefined,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const step of steps) {
    const result = await run([client, ...step], {
      env: { DOCKER_HOST: host },
      ...(input === undefined ? {} : { input }),
    });
    results.push({ code: result.code, stdout: normal(result.stdout), stderr: normal(result.stderr) });
  }
  return results;
}

describe.skipIf(missing !== undefined || !existsSync(client))("parity with the real Docker", () => {
  for (const scenario of scenarios) {
    test(scenario.name, async () => {
      const [theirs, ours] = await Promise.all([
        tell(docker.host, scenario.steps, scenario.input),
        tell(tug.host, scenario.steps, scenario.input),
      ]);
      for (const [index, step] of scenario.steps.entries()) {
        const command = `docker ${step.join(" ")}`;
        const known = differences.find((one) => one.command === command);
        if (known) expect({ command, ...ours[index] }).toEqual({ command, ...known.tug });
        else
          expect({ command, ...ours[index] }).toEqual({ command, ...theirs[index] } as {
            command: string;
          } & Result);
      }
      await tug.assertClean();
    });
  }
});
