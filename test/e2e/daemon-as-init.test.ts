import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { eventually, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { processes } from "../harness/machine.ts";

/**
 * The daemon is the first process of a PID namespace, as in a container without an init: nobody but it can take orphans away.
 * unshare(1) hands no signal on.
 */
const launcher = [
  "sh",
  "-c",
  `setpriv --pdeathsig KILL unshare --pid --fork --mount-proc --kill-child "$@" &
   trap "kill \\$(cat /proc/$!/task/$!/children)" TERM; wait $!; wait $!`,
  "sh",
];

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start({ launcher });
}, 120_000);
afterEach(() => daemon.assertClean(), 120_000);
afterAll(() => daemon.close(), 120_000);

const named = (...words: readonly string[]) =>
  processes().filter(({ command }) => words.every((word) => command.includes(word)));

/** The daemon's pid here. */
function init(): number {
  const found = named(" daemon ", `${daemon.root}/data`).find(({ command }) => command.startsWith(tugBinary));
  if (!found) throw new Error("the daemon does not run");
  return found.pid;
}

/** Children of the daemon that have ended and were not taken away. */
function zombies(): readonly string[] {
  const children = readFileSync(`/proc/${init()}/task/${init()}/children`, "utf8").split(" ").filter(Boolean);
  return children.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/stat`, "latin1").includes(") Z ");
    } catch (error) {
      // Gone before it was opened, or before it was read.
      if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
      throw error;
    }
  });
}

test("a container is removed by force although the monitor of an exec in it is gone, whose process nobody else can take away", async () => {
  await daemon.ok(["run", "-d", "--name", "host", "busybox", "sleep", "1000"]);
  const { body } = await daemon.api("POST", "/containers/host/exec", { Cmd: ["sleep", "2000"] });
  const { Id } = body as { readonly Id: string };
  expect((await daemon.api("POST", `/exec/${Id}/start`, { Detach: true })).status).toBe(200);
  for (const { pid } of named("conmon", `-u ${Id}`)) process.kill(pid, "SIGKILL");
  await eventually("the monitor is gone", () => named("conmon", `-u ${Id}`).length === 0, 30_000);
  await daemon.ok(["rm", "-f", "host"]);
  await eventually("nothing is left of its processes", () => zombies().length === 0, 30_000);
}, 120_000);

test("monitors of containers and execs that ended are taken away", async () => {
  expect(await daemon.ok(["run", "--rm", "busybox", "echo", "hello"])).toBe("hello");
  const failed = await daemon.tug(["run", "--rm", "busybox", "sh", "-c", "exit 3"]);
  expect(failed.code).toBe(3);
  await daemon.ok(["run", "-d", "--name", "host", "busybox", "sleep", "1000"]);
  expect((await daemon.tug(["exec", "host", "sh", "-c", "exit 5"])).code).toBe(5);
  await daemon.ok(["rm", "-f", "host"]);
  await eventually("nothing is left of their processes", () => zombies().length === 0, 30_000);
}, 120_000);
