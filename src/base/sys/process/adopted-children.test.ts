import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { Pipe } from "../pipe.ts";
import { AdoptedChildren } from "./adopted-children.ts";
import { processStat } from "./pidfd.ts";

/** Starts a program whose parent ends at once; its pid. */
async function orphan(program: string): Promise<number> {
  const child = Bun.spawn(["/bin/sh", "-c", `${program} >&- & echo $!`], { stdout: "pipe" });
  const pid = Number(await new Response(child.stdout).text());
  // Its end of the pipe is closed a moment before it gives its children away.
  await child.exited;
  return pid;
}

async function taken(pid: number): Promise<void> {
  while (processStat(pid)) await Bun.sleep(2);
}

test("what a child leaves behind is ours, and is taken away when it ends", async () => {
  using _adopted = new AdoptedChildren();
  const pids = await Promise.all([orphan("sleep 1000"), orphan("true"), orphan("sleep 0.1")]);
  const [lives = 0, ...ending] = pids;
  expect(processStat(lives)?.parent).toBe(process.pid);
  await Promise.all(ending.map(taken));
  process.kill(lives, "SIGKILL");
  await taken(lives);
});

test("children that are waited for keep their exit codes, however late the event loop comes to them", async () => {
  using _adopted = new AdoptedChildren();
  const codes = Array.from({ length: 60 }, (_, i) => i + 1);
  const left = [];
  const exits = [];
  for (const code of codes) {
    const child = Bun.spawn(["/bin/sh", "-c", `true & exit ${code}`]);
    exits.push(child.exited);
    if (code % 10 === 0) left.push(orphan("true"));
    // A turn of the loop that takes long: timers are overdue at its end, and children have ended in it.
    if (code % 15 === 0) Bun.sleepSync(30);
    else if (code % 4 === 0) await Bun.sleep(1);
    expect(Bun.spawnSync(["/bin/sh", "-c", `exit ${code}`]).exitCode).toBe(code);
  }
  expect(await Promise.all(exits)).toEqual(codes);
  await Promise.all((await Promise.all(left)).map(taken));
});

test("hundreds that end at once are taken away together, and those that are waited for keep their exit codes", async () => {
  const children = () => readFileSync("/proc/thread-self/children", "latin1").trim().split(" ");
  const others = new Set(children());
  const left = () => children().filter((pid) => pid !== "" && !others.has(pid));
  using _adopted = new AdoptedChildren();
  using pipe = new Pipe();
  const program = "exec 3<&0; i=0; while [ $i -lt 600 ]; do (read x <&3) & i=$((i+1)); done";
  const parent = Bun.spawn(["/bin/sh", "-c", program], { stdin: pipe.read, stdout: "ignore" });
  expect(await parent.exited).toBe(0);
  const codes = Array.from({ length: 40 }, (_, i) => i + 1);
  const waitedFor = codes.map((code) => {
    const command = ["/bin/sh", "-c", `read x; exit ${code}`];
    return Bun.spawn(command, { stdin: pipe.read, stdout: "ignore" });
  });
  expect(left().length).toBeGreaterThanOrEqual(640);
  pipe.closeWrite();
  expect(await Promise.all(waitedFor.map((child) => child.exited))).toEqual(codes);
  // A busy machine takes its time to end them: from then on they go together, where one after another needs a look for each.
  while (left().some((pid) => !["Z", undefined].includes(processStat(Number(pid))?.state)))
    await Bun.sleep(2);
  let turns = 0;
  for (; left().length > 0; turns++) await Bun.sleep(2);
  expect(turns).toBeLessThan(100);
});

test("without it they are not ours", async () => {
  new AdoptedChildren()[Symbol.dispose]();
  const pid = await orphan("sleep 1000");
  expect(processStat(pid)?.parent).not.toBe(process.pid);
  process.kill(pid, "SIGKILL");
});
