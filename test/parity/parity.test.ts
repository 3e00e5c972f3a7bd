import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { type Result, run, TestDaemon } from "../harness/daemon.ts";
import { RealDocker } from "../harness/real-docker.ts";
import { agree, converse } from "./converse.ts";
import { differences } from "./differences.ts";
import { normal } from "./normal.ts";
import { operations } from "./operations.ts";
import { options } from "./options.ts";
import { conversations } from "./requests.ts";
import { scenarios } from "./scenarios.ts";
import { shapes } from "./shapes.ts";

/** The same client tells the same story to Tug and to Debian's dockerd; outputs and exit codes must agree. */
const missing = RealDocker.missing();
if (missing) console.log(`skipped: parity with the real Docker: ${missing}`);
const client = "/usr/bin/docker";
// The wide stories take three minutes more, and some still meet orders that dockerd picks at random.
const wide = process.env["TUG_PARITY"] === "all";
if (!wide)
  console.log(
    "skipped: the wide parity stories (shapes, operations, options, raw requests): set TUG_PARITY=all",
  );

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
    // Docker lists changes as it meets them.
    const stdout = step[0] === "diff" ? result.stdout.split("\n").sort().join("\n") : result.stdout;
    results.push({ code: result.code, stdout: normal(stdout), stderr: normal(result.stderr) });
  }
  return results;
}

describe.skipIf(missing !== undefined || !existsSync(client))("parity with the real Docker", () => {
  for (const scenario of wide ? [...scenarios, ...shapes, ...operations, ...options] : scenarios) {
    test(scenario.name, async () => {
      const [theirs, ours] = await Promise.all([
        tell(docker.host, scenario.steps, scenario.input),
        tell(tug.host, scenario.steps, scenario.input),
      ]);
      const commands = scenario.steps.map((step) => `docker ${step.join(" ")}`);
      const known = (command: string) =>
        differences.find((one) => one.scenario === scenario.name && one.command === command)?.tug;
      // All steps in one comparison: the report shows every difference of a story at once.
      expect(commands.map((command, index) => ({ command, ...ours[index] }))).toEqual(
        commands.map((command, index) => ({ command, ...theirs[index], ...known(command) })),
      );
      await Promise.all([tug.assertClean(), docker.clean()]);
    });
  }
  for (const conversation of wide ? conversations : []) {
    test(`requests: ${conversation.name}`, async () => {
      const [theirs, ours] = await Promise.all([
        converse(`${docker.root}/docker.sock`, conversation),
        converse(tug.socket, conversation),
      ]);
      for (const [index, request] of conversation.requests.entries()) {
        const [their, our] = [theirs[index], ours[index]];
        if (!their || !our || agree(request, their, our)) continue;
        expect({ request, ...our }).toEqual({ request, ...their });
      }
      await Promise.all([tug.assertClean(), docker.clean()]);
    });
  }
});
