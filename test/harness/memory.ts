import { readFileSync } from "node:fs";
import type { TestDaemon } from "./daemon.ts";

/** The most that the daemon and what it started held while `work` ran, over what the daemon held before, in bytes. */
export async function growth(daemon: TestDaemon, work: () => Promise<unknown>): Promise<number> {
  const held = (pid: number) => {
    try {
      return Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
    } catch {
      return 0; // it ended
    }
  };
  const command = commandOf(daemon.pid);
  const before = held(daemon.pid);
  let most = 0;
  const timer = setInterval(() => {
    const children = readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/children`, "utf8")
      .split(" ")
      .filter(Boolean);
    // One that has not executed its program yet has the daemon's own memory: it would count twice.
    const own = children.map(Number).filter((pid) => commandOf(pid) !== command);
    const sum = [daemon.pid, ...own].reduce((all, pid) => all + held(pid), 0);
    most = Math.max(most, sum - before);
  }, 20);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return most;
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return ""; // it ended
  }
}
