import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { eventually, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { Terminal } from "../harness/terminal.ts";

/**
 * What a container prints and what clients do with streams costs the daemon nothing that stays (CVE-2022-31030, CVE-2022-23471,
 * CVE-2025-64329). Longer looks: TUG_LEAK_MS=60000.
 */
const phaseMs = Number(process.env["TUG_LEAK_MS"] ?? 2500);

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

/** One request on a connection of its own, so that no pool of ours is counted as the daemon's. */
async function request(
  method: string,
  path: string,
  body?: unknown,
  expected = [200, 299],
): Promise<unknown> {
  const response = await fetch(`http://tug/v1.47${path}`, {
    unix: daemon.socket,
    method,
    headers: { connection: "close", "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const [low = 0, high = 0] = expected;
  if (response.status < low || response.status > high)
    throw new Error(`${method} ${path}: ${response.status} ${text}`);
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text; // a stream
  }
}

const idOf = (reply: unknown) => (reply as { Id: string }).Id;

async function create(command: readonly string[]): Promise<string> {
  return idOf(
    await request("POST", "/containers/create", { Image: "busybox", Cmd: command, OpenStdin: true }),
  );
}

async function exec(container: string, command: readonly string[], tty = false): Promise<string> {
  return idOf(
    await request("POST", `/containers/${container}/exec`, {
      Cmd: command,
      Tty: tty,
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    }),
  );
}

/** Asks for a hijacked stream on a connection of its own. */
function openStream(path: string, body = ""): Socket {
  const socket = connect(daemon.socket, () =>
    socket.write(
      `POST /v1.47${path} HTTP/1.1\r\nHost: tug\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    ),
  );
  return socket;
}

/** Attaches to a stream and hangs up in the middle of it, as a client that is killed does. */
async function hangUp(path: string, body = ""): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = openStream(path, body);
  socket.once("data", () => socket.destroy());
  socket.once("close", () => resolve());
  socket.once("error", reject);
  await promise;
}

/** Begins to read a reply and goes away. */
async function abandon(path: string, method = "GET"): Promise<void> {
  const gone = new AbortController();
  const response = await fetch(`http://tug/v1.47${path}`, {
    unix: daemon.socket,
    method,
    signal: gone.signal,
    headers: { connection: "close" },
  });
  if (path.includes("logs")) await response.body?.getReader().read();
  gone.abort();
}

/** Anonymous memory: what a heap holds, without pages of files that come and go. */
function heldBytes(): number {
  const text = readFileSync(`/proc/${daemon.pid}/status`, "utf8");
  return Number(/^RssAnon:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024;
}

/** Its children but the monitors of containers, which it adopts: those are their containers' and end with them. */
function children(): number {
  const text = readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/children`, "utf8");
  const pids = text.split(" ").filter(Boolean);
  return pids.filter((pid) => nameOf(pid) !== "conmon").length;
}

function nameOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return ""; // it ended, and is about to be taken away
  }
}

/** What the daemon holds once it has come to rest and gave back what it could: two looks agree. */
async function settled() {
  let last = { bytes: 0, fds: 0, children: 0 };
  await eventually(
    "the daemon comes to rest",
    async () => {
      await Bun.sleep(1200);
      const now = { bytes: heldBytes(), fds: daemon.fdCount(), children: children() };
      const still =
        Math.abs(now.bytes - last.bytes) < 2 << 20 && now.fds === last.fds && now.children === last.children;
      last = now;
      return still;
    },
    60_000,
  );
  return last;
}

async function repeat(things: readonly (() => Promise<void>)[]): Promise<number> {
  const end = performance.now() + phaseMs;
  let done = 0;
  const worker = async (thing: () => Promise<void>) => {
    do {
      await thing();
      done++;
    } while (performance.now() < end);
  };
  await Promise.all(things.map(worker));
  return done;
}

test("runs, execs, attachments, followers and waits leave no memory, descriptor or child, however their clients go away", async () => {
  const talker = await create(["sh", "-c", "while :; do echo tick; sleep 0.02; done"]);
  await request("POST", `/containers/${talker}/start`);
  const things = [
    async () => {
      const id = await create(["true"]);
      const ended = request("POST", `/containers/${id}/wait?condition=next-exit`);
      await request("POST", `/containers/${id}/start`);
      await ended;
      await request("DELETE", `/containers/${id}`);
    },
    async () => {
      await request("POST", `/exec/${await exec(talker, ["true"])}/start`, { Detach: true });
      await hangUp(`/exec/${await exec(talker, ["sh", "-c", "echo there; sleep 0.05"])}/start`, "{}");
    },
    async () => {
      // CVE-2025-64329's and CVE-2022-23471's way: a terminal is resized of an exec whose command does not exist.
      const id = await exec(talker, ["/no/such/program"], true);
      const started = request("POST", `/exec/${id}/start`, { Tty: true }, [200, 499]);
      for (let i = 0; i < 3; i++)
        await request("POST", `/exec/${id}/resize?h=${20 + i}&w=80`, undefined, [200, 599]);
      await started;
      await exec(talker, ["never", "started"]);
    },
    async () => {
      await hangUp(`/containers/${talker}/attach?stream=1&stdin=1&stdout=1&stderr=1`);
      await abandon(`/containers/${talker}/logs?stdout=1&follow=1&tail=1`);
      await abandon("/events");
      await abandon(`/containers/${talker}/wait?condition=removed`, "POST");
      await abandon(`/containers/${talker}/stats`);
    },
  ];
  await repeat(things);
  const before = await settled();
  const times = await repeat(things);
  const after = await settled();
  expect(after.fds).toBeLessThanOrEqual(before.fds + 1);
  expect(after.children).toBe(before.children);
  // A heap is never twice the same size, and a young one grows: more rounds (TUG_LEAK_MS) see smaller leaks.
  const grown = after.bytes - before.bytes;
  const allowed = Math.max(24 << 20, times * 2048);
  if (grown > allowed) expect(`${Math.round(grown / times)} bytes each of ${times} times`).toBe("nothing");
}, 180_000);

test("output that nobody reads, or slowly, waits in the container and not in the daemon", async () => {
  const id = await create(["sleep", "1000"]);
  await request("POST", `/containers/${id}/start`);
  const before = await settled();
  const streams: Socket[] = [];
  for (const tty of [false, true]) {
    for (let i = 0; i < 4; i++) {
      const socket = openStream(
        `/exec/${await exec(id, ["yes", "0123456789".repeat(100)], tty)}/start`,
        JSON.stringify({ Tty: tty }),
      );
      // The head of the reply, and from then on nothing is read.
      await new Promise((resolve, reject) => socket.once("readable", resolve).once("error", reject));
      streams.push(socket);
    }
  }
  let most = 0;
  for (const end = performance.now() + 2000; performance.now() < end; await Bun.sleep(50)) {
    most = Math.max(most, heldBytes());
    // The slow one: a little each time.
    streams[0]?.read(100);
  }
  expect(most - before.bytes).toBeLessThan(48 << 20);
  // It answers others meanwhile.
  expect(await daemon.ok(["exec", id, "echo", "there"])).toBe("there");
  for (const socket of streams) socket.destroy();
  await request("DELETE", `/containers/${id}?force=1`);
  const after = await settled();
  expect(after.fds).toBeLessThanOrEqual(before.fds + 1);
  expect(after.children).toBe(before.children);
}, 120_000);

test("a terminal that attaches and detaches again and again leaves nothing", async () => {
  await daemon.ok(["run", "-dit", "--name", "shell", "busybox", "sh"]);
  const before = await settled();
  for (let i = 0; i < 10; i++) {
    const terminal = await Terminal.open([tugBinary, "attach", "shell"], { DOCKER_HOST: daemon.host });
    terminal.type(`echo at-$((${i}+1))\n`);
    await terminal.until(`at-${i + 1}\n`);
    terminal.type("\x10\x11");
    await terminal.exited;
    terminal.close();
  }
  await eventually("its descriptors are closed", () => daemon.fdCount() <= before.fds);
}, 120_000);
