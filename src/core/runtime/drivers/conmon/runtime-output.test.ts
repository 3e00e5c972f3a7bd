import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, readSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../../../base/lib/testdata/until.ts";
import { isPipeFull, Pipe } from "../../../../base/sys/pipe.ts";
import { processStat } from "../../../../base/sys/process/pidfd.ts";
import { RuntimeOutput } from "./runtime-output.ts";

/** A program that is stopped in a write to a pipe, which is empty now. */
async function stoppedWriter(pipe: Pipe): Promise<Bun.Subprocess> {
  const child = Bun.spawn(["cat", "/dev/zero"], { stdio: ["ignore", pipe.write, "ignore"] });
  const waits = () => readFileSync(`/proc/${child.pid}/syscall`, "utf8").startsWith("1 0x1 ");
  if (process.arch === "x64") await until(waits);
  await until(() => isPipeFull(pipe.read));
  child.kill("SIGSTOP");
  await until(() => processStat(child.pid)?.state === "T");
  readSync(pipe.read, Buffer.alloc(1 << 20));
  return child;
}

test("a writer that the full pipe stops goes on; what there is room for is left to the monitor, though its writer stands still", async () => {
  const directory = mkdtempSync(join(tmpdir(), "runtime-output-"));
  // Its children are looked at.
  writeFileSync(join(directory, "monitor.pid"), String(process.pid));
  using quiet = new Pipe();
  using loud = new Pipe();
  const stopped = await stoppedWriter(quiet);
  try {
    writeSync(quiet.write, "the reason");
    using _output = new RuntimeOutput(directory);
    // More than a pipe holds: it ends once somebody has looked.
    const stuck = Bun.spawn(["head", "-c", "100000", "/dev/zero"], {
      stdio: ["ignore", loud.write, "ignore"],
    });
    expect(await stuck.exited).toBe(0);
    writeSync(quiet.write, ", whole");
    const left = Buffer.alloc(100);
    expect(left.toString("latin1", 0, readSync(quiet.read, left))).toBe("the reason, whole");
  } finally {
    stopped.kill("SIGKILL");
    await stopped.exited;
    rmSync(directory, { recursive: true });
  }
});
