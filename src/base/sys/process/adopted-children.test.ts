import { expect, test } from "bun:test";
import { AdoptedChildren } from "./adopted-children.ts";
import { processStat } from "./pidfd.ts";

/** Starts a program whose parent ends at once; its pid. */
async function orphan(program: string): Promise<number> {
  const child = Bun.spawn(["/bin/sh", "-c", `${program} >&- & echo $!`], { stdout: "pipe" });
  return Number(await new Response(child.stdout).text());
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

test("without it they are not ours", async () => {
  new AdoptedChildren()[Symbol.dispose]();
  const pid = await orphan("sleep 1000");
  expect(processStat(pid)?.parent).not.toBe(process.pid);
  process.kill(pid, "SIGKILL");
});
