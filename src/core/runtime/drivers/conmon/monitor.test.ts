import { expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processStat } from "../../../../base/sys/process/pidfd.ts";
import { startMonitor } from "./monitor.ts";

test("a monitor that died before its client came is told of by what the client met", async () => {
  const directory = mkdtempSync(join(tmpdir(), "monitor-"));
  try {
    const conmon = join(directory, "conmon");
    // Says that it can be attached to, and is gone.
    const script = `#!/bin/sh\necho $$ > monitor.pid\nprintf '{"data":0}\\n' >&4\n`;
    writeFileSync(conmon, script);
    chmodSync(conmon, 0o755);
    const exec = {
      processFile: join(directory, "process.json"),
      beforeStart: async () => {
        const pid = Number(readFileSync(join(directory, "monitor.pid"), "latin1"));
        while (processStat(pid) !== undefined) await Bun.sleep(1);
        throw new Error("nobody answers");
      },
    };
    const start = startMonitor({
      ...{ conmon, runtime: "crun", command: { program: "/bin/true", args: [], moves: false } },
      ...{ container: "c", task: "t", directory, tty: false, stdin: false, keepStdin: false },
      ...{ log: ["-l", "none"], exec, timeoutMs: 30_000 },
    });
    await expect(start).rejects.toThrow("nobody answers");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("the runtime of an exec with a terminal begins only when its monitor has looked for it once", async () => {
  const directory = mkdtempSync(join(tmpdir(), "monitor-"));
  try {
    const conmon = join(directory, "conmon");
    // The second byte begins the runtime: it is not to come while the monitor is held up, but once it rests, as in poll(2).
    const script = [
      "#!/bin/sh",
      "echo $$ >monitor.pid",
      "head -c 1 <&5 >/dev/null",
      `printf '{"data":0}\\n' >&4`,
      "sleep 0.1",
      "dd bs=1 count=1 iflag=nonblock <&5 2>/dev/null | wc -c >early",
      "exec socat -u FD:5,readbytes=1 CREATE:begun",
    ].join("\n");
    writeFileSync(conmon, `${script}\n`, { mode: 0o755 });
    const start = startMonitor({
      ...{ conmon, runtime: "crun", command: { program: "/bin/true", args: [], moves: false } },
      ...{ container: "c", task: "t", directory, tty: true, stdin: false, keepStdin: false },
      ...{ log: ["-l", "none"], timeoutMs: 30_000 },
      exec: { processFile: join(directory, "process.json"), beforeStart: async () => undefined },
    });
    expect(await start).toMatchObject({ failure: "the monitor ended without a word" });
    expect(readFileSync(join(directory, "early"), "latin1")).toBe("0\n");
    expect(readFileSync(join(directory, "begun"), "latin1")).toBe("\0");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
