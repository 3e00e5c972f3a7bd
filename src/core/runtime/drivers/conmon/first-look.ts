import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Linux's numbers of poll, which GLib's main loop rests in, select, epoll_wait and their younger forms. */
const rests: ReadonlySet<string> = new Set(
  process.arch === "arm64" ? ["73", "72", "22", "441"] : ["7", "271", "23", "270", "232", "281", "441"],
);
const LOOK_MS = 1;
/** One that is held up for longer may miss the terminal: waiting for ever would be no better. */
const PATIENCE_MS = 5000;

/**
 * Waits until a conmon with a terminal has looked once whether its runtime has ended, and rests in poll(2). One that is held up between its
 * first look at the console socket and that one would find that it has, and give up although the terminal waits there
 * (check_child_processes_cb in conmon.c). Where nobody may look at what it does it is not waited for.
 */
export async function firstLookDone(directory: string): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await Bun.sleep(LOOK_MS)) {
    try {
      const pid = readFileSync(join(directory, "monitor.pid"), "latin1").trim();
      const [call = ""] = readFileSync(`/proc/${pid || "none"}/syscall`, "latin1").split(" ");
      if (rests.has(call)) return;
    } catch (error) {
      // Its pid is not written down yet, or it has ended, which its sync pipe tells.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") return;
    }
  }
}
