import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { eventually, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { gate } from "../harness/gate.ts";
import { Terminal } from "../harness/terminal.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const sleeper = (name: string, ...flags: string[]) =>
  daemon.ok(["run", "-d", "--name", name, ...flags, "busybox", "sleep", "1000"]);

describe("exec", () => {
  test("runs in the container with its own streams, exit code, user, directory and environment", async () => {
    await sleeper("ee", "-e", "BASE=1");
    const result = await daemon.tug([
      "exec",
      "-e",
      "MORE=2",
      "-w",
      "/tmp",
      "-u",
      "daemon",
      "ee",
      "sh",
      "-c",
      "echo $BASE $MORE $PWD $(id -un); echo err >&2; exit 5",
    ]);
    expect(result).toEqual({ code: 5, stdout: "1 2 /tmp daemon\n", stderr: "err\n" });
    expect((await daemon.tug(["exec", "-i", "ee", "cat"], { input: "through" })).stdout).toBe("through");
    expect(await daemon.ok(["exec", "-d", "ee", "touch", "/detached"])).toBe("");
    await eventually(
      "detached exec ran",
      async () => (await daemon.tug(["exec", "ee", "ls", "/detached"])).code === 0,
    );
  });

  test("of a missing command: 127; of a stopped container: 1 with Docker's words", async () => {
    await sleeper("ee");
    const missing = await daemon.tug(["exec", "ee", "nosuch"]);
    expect(missing.code).toBe(127);
    expect(missing.stderr + missing.stdout).toContain('exec: "nosuch": executable file not found in $PATH');
    await daemon.ok(["kill", "ee"]);
    await daemon.ok(["wait", "ee"]);
    const stopped = await daemon.tug(["exec", "ee", "true"]);
    expect(stopped.code).toBe(1);
    expect(stopped.stderr).toMatch(/container [0-9a-f]{64} is not running/);
    expect((await daemon.tug(["exec", "nosuch", "true"])).stderr).toContain("No such container: nosuch");
  });

  test("-it gives a shell in a terminal that follows our size", async () => {
    await sleeper("shell");
    const terminal = await Terminal.open(
      [tugBinary, "exec", "-it", "shell", "sh"],
      { DOCKER_HOST: daemon.host },
      { rows: 30, columns: 100 },
    );
    try {
      await terminal.until("#");
      terminal.type("stty size\r");
      await terminal.until("30 100");
      terminal.resize({ rows: 40, columns: 120 });
      await eventually("the new size arrived", async () => {
        terminal.type("stty size\r");
        await Bun.sleep(50);
        return terminal.text.includes("40 120");
      });
      terminal.type("exit 6\r");
      expect(await terminal.exited).toBe(6);
    } finally {
      terminal.close();
    }
  });
});

describe("attach and detach", () => {
  test("the detach keys leave a container running, attach comes back to it", async () => {
    const first = await Terminal.open([tugBinary, "run", "-it", "--name", "stay", "busybox", "sh"], {
      DOCKER_HOST: daemon.host,
    });
    try {
      await first.until("#");
      first.type("MARK=here\r");
      first.type("\x10\x11");
      expect(await first.exited).toBe(0);
    } finally {
      first.close();
    }
    expect(await daemon.ok(["inspect", "-f", "{{.State.Status}}", "stay"])).toBe("running");
    const second = await Terminal.open([tugBinary, "attach", "stay"], { DOCKER_HOST: daemon.host });
    try {
      second.type("echo still $MARK\r");
      await second.until("still here");
      second.type("exit 4\r");
      expect(await second.exited).toBe(4);
    } finally {
      second.close();
    }
  });

  test("several clients see the same output", async () => {
    await daemon.ok(["run", "-d", "-i", "--name", "many", "busybox", "cat"]);
    const since = String(Date.now() / 1000 - 1);
    const watchers = [0, 1].map(() => daemon.tug(["attach", "--no-stdin", "many"]));
    await eventually("both watch", async () => {
      const until = String(Date.now() / 1000);
      const query = new URLSearchParams({
        since,
        until,
        filters: JSON.stringify({ event: ["attach"], container: ["many"] }),
      });
      const { body } = await daemon.api("GET", `/v1.43/events?${query}`);
      const lines = typeof body === "string" ? body.split("\n").filter(Boolean) : [body];
      return lines.length >= 2;
    });
    const writer = daemon.tug(["attach", "many"], { input: "shared line\n" });
    await eventually("the line arrived", async () => (await daemon.ok(["logs", "many"])) === "shared line");
    await daemon.ok(["kill", "many"]);
    for (const one of await Promise.all(watchers)) expect(one.stdout).toBe("shared line\n");
    await writer;
  });
});

describe("logs", () => {
  test("keep both streams, lines without an end, and the order", async () => {
    await daemon.ok(["run", "--name", "ll", "busybox", "sh", "-c", "echo one; echo two >&2; printf three"]);
    expect(await daemon.tug(["logs", "ll"])).toEqual({ code: 0, stdout: "one\nthree", stderr: "two\n" });
  });

  test("--tail, --since, -t", async () => {
    const go = gate(daemon, "ll");
    const script = `seq 1 100; ${go.wait("on")}; echo last`;
    await daemon.ok(["run", "-d", "--name", "ll", ...go.flags, "busybox", "sh", "-c", script]);
    // Lines have the time at which the monitor reads them.
    await eventually("the first are read", async () => (await daemon.ok(["logs", "ll"])).endsWith("\n100"));
    await Bun.sleep(10);
    go.open("on");
    await daemon.ok(["wait", "ll"]);
    expect(await daemon.ok(["logs", "--tail", "3", "ll"])).toBe("99\n100\nlast");
    expect(await daemon.ok(["logs", "--tail", "0", "ll"])).toBe("");
    expect((await daemon.ok(["logs", "ll"])).split("\n").length).toBe(101);
    const stamped = (await daemon.ok(["logs", "-t", "--tail", "2", "ll"])).split("\n");
    for (const line of stamped) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z /);
    const [before = 0, last = 0] = stamped.map((line) => Date.parse(line.slice(0, 30)));
    const moment = new Date((before + last + 1) / 2).toISOString();
    expect(await daemon.ok(["logs", "--since", moment, "ll"])).toBe("last");
    expect((await daemon.tug(["logs", "nosuch"])).stderr).toContain("No such container: nosuch");
  });

  test("-f follows until the container ends", async () => {
    await daemon.ok([
      "run",
      "-d",
      "--name",
      "ff",
      "busybox",
      "sh",
      "-c",
      "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done",
    ]);
    expect(await daemon.ok(["logs", "-f", "ff"])).toBe("1\n2\n3\n4\n5");
  });

  test("a line longer than any buffer arrives whole", async () => {
    await daemon.ok([
      "run",
      "--name",
      "long",
      "busybox",
      "sh",
      "-c",
      "head -c 100000 /dev/zero | tr '\\0' x; echo; echo end",
    ]);
    const lines = (await daemon.ok(["logs", "long"])).split("\n");
    expect([lines[0]?.length, lines[1]]).toEqual([100_000, "end"]);
    expect((await daemon.ok(["logs", "-t", "long"])).split("\n").length).toBe(2);
  });

  test("are bounded: a talkative container cannot fill the disk, and the newest lines are kept", async () => {
    const go = gate(daemon, "loud");
    const part = `seq 1 50000; echo part $i; ${go.wait("$i")}`;
    const script = `i=0; while [ $i -lt 10 ]; do i=$((i+1)); ${part}; done; echo the end`;
    const bound = ["--log-opt", "max-size=1m", "--log-opt", "max-file=3"];
    await daemon.ok(["run", "-d", "--name", "loud", ...bound, ...go.flags, "busybox", "sh", "-c", script]);
    const id = await daemon.ok(["inspect", "-f", "{{.Id}}", "loud"]);
    const folder = join(daemon.dataRoot, "containers", id);
    const size = (name: string) => statSync(join(folder, name), { throwIfNoEntry: false })?.size;
    // Files are rotated a moment after they are full: the next part comes when that one has passed. While it lasts, there is no file
    // of that name: what conmon writes goes on filling the old one.
    for (let parts = 1; parts <= 10; parts++) {
      await eventually(`part ${parts} is written and rotated`, async () => {
        const last = await daemon.ok(["logs", "--tail", "1", "loud"]);
        const current = size("ctr.log");
        return last === `part ${parts}` && current !== undefined && current < 1 << 20;
      });
      go.open(String(parts));
    }
    await daemon.ok(["wait", "loud"]);
    const bytes = readdirSync(folder)
      .filter((name) => name.includes("log"))
      .reduce((sum, name) => sum + (size(name) ?? 0), 0);
    // Of some 23 MB: three files of 1 MiB, each with a part of 2.3 MB more at most.
    expect(bytes).toBeLessThan(12_000_000);
    expect(await daemon.ok(["logs", "--tail", "1", "loud"])).toBe("the end");
    const all = (await daemon.ok(["logs", "loud"])).split("\n");
    expect(all.length).toBeGreaterThan(1000);
    expect(all.at(-1)).toBe("the end");
  }, 90_000);
});
