import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { TestDaemon } from "../harness/daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

/** Attaches and resolves once output arrived. */
async function attach(container: string): Promise<Socket> {
  const socket = connect(daemon.socket);
  socket.write(
    `POST /containers/${container}/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: tug\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n`,
  );
  let text = "";
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    if (text.includes("tick")) resolve();
  });
  socket.once("error", reject);
  socket.once("close", () => reject(new Error(`closed: ${text}`)));
  await promise;
  return socket;
}

/**
 * conmon 2.1.6 uses freed memory when a client is gone for writing before it is gone for reading, and falls with its container. Stopped
 * for a moment, as a loaded machine stops it, it finds both at once.
 */
test("clients that hang up while the monitor is held up and output waits do not end the container", async () => {
  const id = await daemon.ok([
    ...["run", "-di", "--network", "none", "--name", "chatty", "busybox"],
    ...["sh", "-c", "while :; do echo tick; usleep 2000; done"],
  ]);
  const file = join(daemon.execRoot, "containers", id, "monitor.pid");
  const monitor = Number(readFileSync(file, "utf8"));
  for (let round = 0; round < 12; round++) {
    const clients = await Promise.all(Array.from({ length: 9 }, () => attach("chatty")));
    process.kill(monitor, "SIGSTOP");
    try {
      for (const client of clients) client.destroy();
      // Long enough for output to wait and for the daemon to see its clients gone.
      await Bun.sleep(60);
    } finally {
      process.kill(monitor, "SIGCONT");
    }
  }
  const last = await attach("chatty");
  last.destroy();
  expect(readFileSync(`/proc/${monitor}/comm`, "utf8").trim()).toBe("conmon");
  expect(await daemon.ok(["inspect", "-f", "{{.State.Running}} {{.State.Pid}}", "chatty"])).toMatch(
    /^true [1-9]/,
  );
  expect(await daemon.ok(["exec", "chatty", "echo", "here"])).toBe("here");
}, 120_000);
