import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { PassThrough } from "node:stream";
import Docker from "dockerode";
import { FakeServer } from "../../src/api/fakes/server.ts";
import { eventually, run } from "../harness/daemon.ts";
import { Terminal } from "../harness/terminal.ts";

/** The real clients against the API alone: what fails here is the API's fault, not the engine's. */
let server: FakeServer;
beforeAll(() => {
  server = new FakeServer();
});
afterAll(() => server[Symbol.asyncDispose]());

/** Whether a client told the API this size. */
const told = (rows: number, columns: number) =>
  server.fakes.sizes.some(([r, c]) => r === rows && c === columns);

/** Waits until a client told the API this size. */
async function sized(rows: number, columns: number): Promise<void> {
  await eventually(`the size is told as ${rows} by ${columns}`, () => told(rows, columns));
}

/**
 * Makes a terminal that large until the client told the API. It listens for changes only from when the first size was answered, which shows nowhere:
 * a change before is lost on it, and a terminal that stays as large as it is makes no signal.
 */
async function resize(terminal: Terminal, rows: number, columns: number): Promise<void> {
  await eventually(`the new size is told as ${rows} by ${columns}`, () => {
    terminal.resize({ rows, columns: columns - 1 });
    terminal.resize({ rows, columns });
    return told(rows, columns);
  });
}

const programs = ["/usr/local/bin/docker", "/usr/bin/docker"].filter((path) => existsSync(path));
if (programs.length === 0) console.log("docker CLI tests skipped: no docker CLI installed");

for (const [index, program] of programs.entries()) {
  describe(program, () => {
    // Sizes of its own, for what another client told stays told.
    const columns = 100 + 50 * index;
    const docker = (args: readonly string[], input?: string) =>
      run([program, ...args], {
        env: { DOCKER_HOST: server.host },
        ...(input === undefined ? {} : { input }),
      });

    test("negotiates a version it knows", async () => {
      const result = await docker(["version", "--format", "{{.Client.APIVersion}} {{.Server.APIVersion}}"]);
      expect(result.stderr).toBe("");
      expect(result.stdout).toMatch(/^1\.\d+ 1\.56\n$/);
    });

    test("run: output, error and exit code", async () => {
      expect(await docker(["run", "--rm", "busybox", "echo", "one", "two"])).toEqual({
        code: 0,
        stdout: "one two\n",
        stderr: "",
      });
      expect(await docker(["run", "--rm", "busybox", "fail", "3"])).toEqual({
        code: 3,
        stdout: "",
        stderr: "failed\n",
      });
      expect(await docker(["run", "busybox", "nonexistent"])).toMatchObject({ code: 127 });
    });

    test("run -i: the end of the input ends the container, and all of it comes back", async () => {
      const input = "0123456789abcdef".repeat(200_000);
      const result = await docker(["run", "--rm", "-i", "busybox", "cat"], input);
      expect(result.stdout === input).toBe(true);
      expect(result.code).toBe(0);
    });

    test("exec, logs, wait, kill, ps, rm", async () => {
      const id = (await docker(["create", "busybox", "cat"])).stdout.trim();
      expect((await docker(["start", id])).stdout).toBe(`${id}\n`);
      expect((await docker(["exec", "-i", id, "cat"], "through")).stdout).toBe("through");
      expect(await docker(["exec", id, "fail", "7"])).toMatchObject({ code: 7 });
      const missing = await docker(["exec", id, "nonexistent"]);
      expect([missing.code, missing.stdout.includes("executable file not found")]).toEqual([127, true]);
      expect(await docker(["logs", id])).toEqual({ code: 0, stdout: "to stdout\n", stderr: "to stderr\n" });
      expect((await docker(["ps", "-q", "--no-trunc"])).stdout).toContain(id);
      const waiting = docker(["wait", id]);
      const waits = () => server.fakes.calls.some(([name, target]) => name === "wait" && target === id);
      await eventually("the client waits for the container", waits);
      await docker(["kill", id]);
      expect((await waiting).stdout).toBe("137\n");
      expect(await docker(["rm", id])).toMatchObject({ code: 0 });
    });

    test("errors are the daemon's words", async () => {
      expect((await docker(["inspect", "--type", "container", "none"])).stderr).toContain(
        "No such container: none",
      );
      expect((await docker(["pull", "missing"])).stderr).toContain("pull access denied for");
      expect(await docker(["pull", "busybox"])).toMatchObject({ code: 0 });
    });

    // The client makes its terminal raw beside asking for a size, in either order.
    test("run -it in a terminal: typing, resizing, the end of input", async () => {
      const terminal = await Terminal.open(
        [program, "run", "-it", "--rm", "busybox", "cat"],
        { DOCKER_HOST: server.host },
        { rows: 30, columns },
      );
      try {
        await sized(30, columns);
        await terminal.raw();
        terminal.type("hello");
        await terminal.until("hello");
        await resize(terminal, 40, columns + 20);
        terminal.type("\x04");
        expect({ code: await terminal.exited, screen: terminal.text }).toMatchObject({ code: 0 });
      } finally {
        terminal.close();
      }
    });

    test("exec -it in a terminal", async () => {
      const id = (await docker(["create", "-it", "busybox", "cat"])).stdout.trim();
      await docker(["start", id]);
      const terminal = await Terminal.open(
        [program, "exec", "-it", id, "cat"],
        { DOCKER_HOST: server.host },
        { rows: 31, columns },
      );
      try {
        await sized(31, columns);
        await terminal.raw();
        terminal.type("inside");
        await terminal.until("inside");
        terminal.type("\x04");
        expect({ code: await terminal.exited, screen: terminal.text }).toMatchObject({ code: 0 });
      } finally {
        terminal.close();
      }
      await docker(["rm", "-f", id]);
    });

    test("events follow until interrupted", async () => {
      const child = Bun.spawn([program, "events"], { env: { ...process.env, DOCKER_HOST: server.host } });
      let text = "";
      for await (const chunk of child.stdout) {
        text += Buffer.from(chunk).toString();
        if (text.includes("start c1 (image=busybox, name=x)")) child.kill("SIGINT");
      }
      await child.exited;
      expect(text).toContain("start c1 (image=busybox, name=x)");
    });
  });
}

describe("dockerode", () => {
  const docker = () => new Docker({ socketPath: server.socket });

  test("run takes the streams apart", async () => {
    const [out, err] = [new PassThrough(), new PassThrough()];
    const texts = Promise.all([new Response(out).text(), new Response(err).text()]);
    // It ends both when its own connection has ended.
    const [result] = await docker().run("busybox", ["fail", "4"], [out, err], { Tty: false });
    expect(result.StatusCode).toBe(4);
    expect(await texts).toEqual(["", "failed\n"]);
  });

  test("attach without hijack is a plain stream", async () => {
    const container = await docker().createContainer({ Image: "busybox", Cmd: ["echo", "plain"], Tty: true });
    const stream = await container.attach({ stream: true, stdout: true });
    await container.start();
    const text: string[] = [];
    for await (const chunk of stream) text.push(String(chunk));
    expect(text.join("")).toBe("plain\n");
  });

  test("follows a pull", async () => {
    const stream = await docker().pull("busybox:latest");
    const output = await new Promise((resolve, reject) =>
      docker().modem.followProgress(stream, (error, lines) => (error ? reject(error) : resolve(lines))),
    );
    expect(output).toMatchObject([{ id: "latest" }, { status: "Download complete" }]);
  });
});
