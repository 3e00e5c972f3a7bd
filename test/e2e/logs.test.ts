import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { eventually, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { gate } from "../harness/gate.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const files = async (name: string) => {
  const id = await daemon.ok(["inspect", "-f", "{{.Id}}", name]);
  const directory = join(daemon.dataRoot, "containers", id);
  return readdirSync(directory)
    .filter((file) => /^ctr\.log(?:\.\d+(?:\.zst)?)?$/.test(file))
    .flatMap((file) => {
      // A file may be removed, or go over into its compressed one, between the two looks.
      const stat = statSync(join(directory, file), { throwIfNoEntry: false });
      return stat ? [{ file, size: stat.size }] : [];
    });
};
const numbers = (text: string) => text.split("\n").filter(Boolean).map(Number);
const consecutive = (list: readonly number[]) =>
  list.every((n, i) => i === 0 || n === (list[i - 1] ?? 0) + 1);

test("a log keeps to its bound, is compressed, and what is kept has no gap", async () => {
  const flags = ["--log-opt", "max-size=200k", "--log-opt", "max-file=3"];
  // Each part is more than a file may have, and comes when the one before has been rotated.
  const go = gate(daemon, "chatty");
  const part = "seq $((i*6000+1)) $((i*6000+6000))";
  const script = `i=0; while [ $i -lt 5 ]; do ${part}; i=$((i+1)); ${go.wait("$i")}; done`;
  await daemon.ok(["run", "-d", "--name", "chatty", ...flags, ...go.flags, "busybox", "sh", "-c", script]);
  let said = "";
  for (let parts = 1; parts <= 5; parts++) {
    await eventually(`part ${parts} is written and rotated`, async () => {
      const last = await daemon.ok(["logs", "--tail", "1", "chatty"]);
      const newest = Math.max(
        0,
        ...(await files("chatty")).map(({ file }) => Number(file.split(".")[2] ?? 0)),
      );
      // A file has its number before conmon writes to the next one, which is there when it does.
      const next = (await files("chatty")).find(({ file }) => file === "ctr.log");
      said = JSON.stringify({ last, newest, next });
      return last === String(parts * 6000) && newest >= parts && next !== undefined;
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${said}`);
    });
    go.open(String(parts));
  }
  await daemon.ok(["wait", "chatty"]);
  await eventually("old files are compressed", async () => {
    const rotated = (await files("chatty")).filter(({ file }) => /\d/.test(file));
    return rotated.length === 2 && rotated.every(({ file }) => file.endsWith(".zst"));
  });
  const kept = numbers(await daemon.ok(["logs", "chatty"]));
  expect(kept.at(-1)).toBe(30_000);
  expect(kept.length).toBeGreaterThan(5000);
  expect(consecutive(kept)).toBe(true);
  expect(numbers(await daemon.ok(["logs", "--tail", "5000", "chatty"]))).toEqual(kept.slice(-5000));
  expect((await files("chatty")).reduce((sum, { size }) => sum + size, 0)).toBeLessThan(600_000);
});

test("follow sees every line across rotations and ends with the container", async () => {
  const go = gate(daemon, "flow");
  const script = `${go.wait("follow")}; i=0; while [ $i -lt 20 ]; do seq $((i*500+1)) $((i*500+500)); usleep 30000; i=$((i+1)); done`;
  const flags = ["--log-opt", "max-size=50k", ...go.flags];
  await daemon.ok(["run", "-d", "--name", "flow", ...flags, "busybox", "sh", "-c", `echo 0; ${script}`]);
  const following = Bun.spawn([tugBinary, "logs", "-f", "flow"], {
    env: { ...process.env, DOCKER_HOST: daemon.host },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of following.stdout) {
    text += decoder.decode(bytes, { stream: true });
    // Whoever has read the first line keeps what comes after it from being removed.
    if (text === "0\n") go.open("follow");
  }
  expect(await following.exited).toBe(0);
  const seen = numbers(text);
  expect(seen.length).toBe(10_001);
  expect(consecutive(seen)).toBe(true);
});

test("the daemon killed while a log rotates loses no line, and rotation goes on under the next one", async () => {
  const script =
    "i=0; while [ $i -lt 200 ]; do seq $((i*200+1)) $((i*200+200)); usleep 10000; i=$((i+1)); done; sleep 1000";
  const flags = ["--log-opt", "max-size=100k", "--log-opt", "max-file=100"];
  await daemon.ok(["run", "-d", "--name", "steady", ...flags, "busybox", "sh", "-c", script]);
  for (let i = 0; i < 3; i++) {
    await Bun.sleep(150);
    await daemon.crash();
    await Bun.sleep(150);
    await daemon.up();
  }
  await eventually(
    "all is written",
    async () => (await daemon.ok(["logs", "--tail", "1", "steady"])) === "40000",
  );
  const seen = numbers(await daemon.ok(["logs", "steady"]));
  expect(seen.length).toBe(40_000);
  expect(consecutive(seen)).toBe(true);
  await eventually("the last daemon has rotated", async () => (await files("steady")).length > 1);
  await daemon.ok(["rm", "-f", "steady"]);
});

test("a driver that forwards delivers all lines, also the last of a container that is gone, and logs works", async () => {
  // Each container has a connection of its own.
  const connections: string[] = [];
  const server = createServer((client) => {
    const index = connections.push("") - 1;
    client.on("data", (bytes) => {
      connections[index] += bytes.toString();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  try {
    const flags = [
      "--log-driver",
      "syslog",
      "--log-opt",
      `syslog-address=tcp://127.0.0.1:${port}`,
      "--log-opt",
      "tag=app",
    ];
    await daemon.ok([
      "run",
      "--name",
      "sender",
      ...flags,
      "busybox",
      "sh",
      "-c",
      "echo first; echo second >&2",
    ]);
    expect((await daemon.tug(["logs", "sender"])).stdout).toBe("first\n");
    await daemon.ok(["run", "--rm", ...flags, "busybox", "sh", "-c", "seq 1 1000; echo last words"]);
    const received = () => connections.join("");
    // A container's two streams are two pipes: nothing orders what came through one and what came through the other.
    await eventually("the last lines of each stream have come", () =>
      ["first\n", "second\n", "last words\n"].every((line) => received().includes(line)),
    );
    expect(received()).toMatch(/<30>\w{3} [ \d]\d [\d:]{8} app\[\d+\]: first\n/);
    expect(received()).toMatch(/<27>.* app\[\d+\]: second\n/);
    expect(received().split("\n").length).toBe(1004);
  } finally {
    server.close();
  }
  const refused = await daemon.tug([
    "run",
    "--rm",
    "--log-driver",
    "syslog",
    "--log-opt",
    `syslog-address=tcp://127.0.0.1:1`,
    "busybox",
    "true",
  ]);
  expect(refused.code).toBe(125);
  expect(refused.stderr).toContain(
    "failed to initialize logging driver: dial tcp 127.0.0.1:1: connect: connection refused",
  );
});

test("none cannot be read; since, until, timestamps, details and streams choose", async () => {
  await daemon.ok(["run", "--name", "mute", "--log-driver", "none", "busybox", "echo", "x"]);
  const refused = await daemon.tug(["logs", "mute"]);
  expect(refused.stderr).toContain("configured logging driver does not support reading");
  const go = gate(daemon, "two");
  const flags = ["--label", "tier=front", "--log-opt", "labels=tier", ...go.flags];
  const script = `echo one; ${go.wait("on")}; printf 'two '; echo three`;
  await daemon.ok(["run", "-d", "--name", "two", ...flags, "busybox", "sh", "-c", script]);
  // Lines have the time at which the monitor reads them.
  await eventually("the first is read", async () => (await daemon.ok(["logs", "two"])) === "one");
  await Bun.sleep(10);
  go.open("on");
  await daemon.ok(["wait", "two"]);
  const stamped = (await daemon.ok(["logs", "-t", "two"])).split("\n");
  expect(stamped.length).toBe(2);
  for (const line of stamped) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z /);
  const second = stamped[1]?.split(" ")[0] ?? "";
  expect(await daemon.ok(["logs", "--since", second, "two"])).toBe("two three");
  const [one = 0, two = 0] = stamped.map((line) => Date.parse(line.slice(0, 30)));
  const between = new Date((one + two + 1) / 2).toISOString();
  expect(await daemon.ok(["logs", "--until", between, "two"])).toBe("one");
  expect(await daemon.ok(["logs", "--details", "two"])).toBe("tier=front one\ntier=front two three");
  expect((await daemon.tug(["logs", "--tail", "x", "two"])).stdout).toBe("one\ntwo three\n");
});
