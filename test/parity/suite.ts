import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type Result, run, TestDaemon } from "../harness/daemon.ts";
import { RealDocker } from "../harness/real-docker.ts";
import { agree, converse, type Reply } from "./converse.ts";
import { differences } from "./differences.ts";
import { normal } from "./normal.ts";
import { type Conversation, commandOf, type Engine, type Story, untilWord } from "./story.ts";

/**
 * The same client tells the same stories to Tug and to Debian's dockerd, side by side; outputs and exit codes must agree.
 * Each test file has a pair of engines of its own, so that files run beside each other.
 */
export function parity(
  stories: readonly Story[],
  conversations: readonly Conversation[] = [],
  flags: readonly string[] = [],
): void {
  const missing = RealDocker.missing();
  if (missing) console.log(`skipped: parity with the real Docker: ${missing}`);
  let tug: TestDaemon;
  let docker: RealDocker;
  const both = <T>(ask: (engine: Engine) => Promise<T>): Promise<[theirs: T, ours: T]> =>
    Promise.all([
      ask({ judge: true, host: docker.host, socket: join(docker.root, "docker.sock"), root: docker.root }),
      ask(tug),
    ]);
  const clean = () => Promise.all([tug?.assertClean(), docker?.clean()]);
  // Promises of what is told aside; a rejection is the test's that awaits it.
  const asideStories = new Map<Story, Promise<[Result[], Result[]]>>();
  const asideTalks = new Map<Conversation, Promise<[Reply[], Reply[]]>>();

  beforeAll(async () => {
    if (missing) return;
    // Each is there to be closed although the other one failed.
    const started = await Promise.allSettled([
      TestDaemon.start({ flags, launcher: ownNetwork }).then((daemon) => {
        tug = daemon;
      }),
      RealDocker.start({ flags: [...flags] }).then((daemon) => {
        docker = daemon;
      }),
    ]);
    for (const one of started) if (one.status === "rejected") throw one.reason;
    for (const story of stories)
      if (story.aside) asideStories.set(story, told(both((engine) => tellAtOnce(engine, story))));
    for (const one of conversations)
      if (one.aside) asideTalks.set(one, told(both((engine) => converse(engine.socket, one))));
  }, 120_000);
  afterAll(async () => {
    const closed = await Promise.allSettled([tug?.close(), docker?.close()]);
    for (const one of closed) if (one.status === "rejected") throw one.reason;
  }, 120_000);

  const last = (one: { aside?: true }, other: { aside?: true }) =>
    Number(one.aside ?? false) - Number(other.aside ?? false);
  describe.skipIf(missing !== undefined)("parity with the real Docker", () => {
    for (const conversation of conversations.toSorted(last)) {
      test(`requests: ${conversation.name}`, async () => {
        const [theirs, ours] = await (asideTalks.get(conversation) ??
          both((engine) => converse(engine.socket, conversation)));
        for (const [index, request] of conversation.requests.entries()) {
          const [their, our] = [theirs[index], ours[index]];
          if (!their || !our || agree(request, their, our)) continue;
          expect({ request, ...our }).toEqual({ request, ...their });
        }
        if (!conversation.aside) await clean();
      });
    }
    for (const story of stories.toSorted(last)) {
      test(story.name, async () => {
        const [theirs, ours] = await (asideStories.get(story) ?? both((engine) => tell(engine, story)));
        compare(story, theirs, ours);
        if (!story.aside) await clean();
      });
    }
  });
}

/** In a network namespace of its own, as the judge: the stories' ports and subnets are nobody else's, and both see the same network. */
const ownNetwork = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"];

/** Keeps a rejection from being an unhandled one until its test comes. */
function told<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** All steps in one comparison: the report shows every difference of a story at once. */
function compare(story: Story, theirs: readonly Result[], ours: readonly Result[]): void {
  const expected = story.steps.map((step, index) => {
    const command = commandOf(step);
    const known = differences.find((one) => one.scenario === story.name && one.command === command)?.tug;
    return {
      command,
      ...theirs[index],
      ...known,
      ...(known?.stderr ? { stderr: normal(known.stderr) } : {}),
    };
  });
  expect(story.steps.map((step, index) => ({ command: commandOf(step), ...ours[index] }))).toEqual(expected);
  // A recorded difference that is none any more hides what comes later.
  const needless = expected.filter(({ command, ...result }, index) => {
    const known = differences.some((one) => one.scenario === story.name && one.command === command);
    return known && isDeepStrictEqual(result, theirs[index]);
  });
  expect(needless.map(({ command }) => `is no difference any more: ${command}`)).toEqual([]);
}

async function tell(engine: Engine, story: Story): Promise<Result[]> {
  const results: Result[] = [];
  for (const step of story.steps) results.push(await tellStep(engine, story, step));
  return results;
}

const tellAtOnce = (engine: Engine, story: Story): Promise<Result[]> =>
  Promise.all(story.steps.map((step) => tellStep(engine, story, step)));

async function tellStep(engine: Engine, story: Story, step: readonly string[]): Promise<Result> {
  const scratch = join(engine.root, "scratch");
  const client = join(engine.root, "client");
  mkdirSync(scratch, { recursive: true });
  mkdirSync(client, { recursive: true });
  const again = step[0] === untilWord;
  const told = again ? step.slice(2) : step;
  const words = told.map((word) => word.replaceAll("<scratch>", scratch).replaceAll("<client>", client));
  const tellOnce = () =>
    run(["/usr/bin/docker", ...words], {
      env: { DOCKER_HOST: engine.host },
      cwd: client,
      timeout: 60_000,
      ...(story.input === undefined ? {} : { input: story.input }),
    });
  let result = await tellOnce();
  // What it says at the end is compared, whatever it is.
  for (const end = performance.now() + 60_000; again && performance.now() < end; result = await tellOnce())
    if (new RegExp(step[1] ?? "").test(result.stdout)) break;
  const stdout = engine.judge ? toldOnce(told, result.stdout) : result.stdout;
  return { code: result.code, stdout: normal(ordered(told, stdout)), stderr: normal(result.stderr) };
}

/** dockerd tells of a pause and its end again, perhaps by a new name, when its containerd told it of them only after both. */
function toldOnce([command]: readonly string[], stdout: string): string {
  if (command !== "events") return stdout;
  const seen = new Set<string>();
  const again = (line: string) => {
    const pause = /^container (?:un)?pause /.exec(line)?.[0];
    return pause !== undefined && seen.size === seen.add(pause).size;
  };
  return stdout
    .split("\n")
    .filter((line) => !again(line))
    .join("\n");
}

/** Lines of what has no order of its own are put in one. */
function ordered([command]: readonly string[], stdout: string): string {
  const lines = stdout.split("\n");
  // Docker lists changes as it meets them.
  if (command === "diff") return lines.sort().join("\n");
  // dockerd hears of an exec's end beside what its client does next: when its streams have ended, the event may be yet to come. And it tells
  // of an attached client when that has its connection, and may start the container meanwhile.
  const late = (line: string) => Number(/ exec_die /.test(line)) + 2 * Number(/ attach /.test(line));
  return command === "events" ? lines.toSorted((a, b) => late(a) - late(b)).join("\n") : stdout;
}
