import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import Docker from "dockerode";
import { TestDaemon } from "../harness/daemon.ts";

let daemon: TestDaemon;
let docker: Docker;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  docker = new Docker({ socketPath: daemon.socket });
}, 180_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

/** All that comes out of a stream, once it has ended. */
function collector() {
  const stream = new PassThrough();
  let text = "";
  stream.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const whole = new Promise<string>((resolve) => stream.on("end", () => resolve(text)));
  return { stream, whole };
}

test("run demultiplexes both streams and returns the exit code", async () => {
  const [out, err] = [collector(), collector()];
  const [result] = await docker.run(
    "busybox",
    ["sh", "-c", "echo o; echo e >&2; exit 5"],
    [out.stream, err.stream],
    { Tty: false },
  );
  // It returns when the container has ended; the streams, on a connection of their own, end when they end.
  expect([result.StatusCode, await out.whole, await err.whole]).toEqual([5, "o\n", "e\n"]);
});

test("create, start, inspect, exec with stdin, logs, stop, remove", async () => {
  const container = await docker.createContainer({
    Image: "busybox",
    Cmd: ["sleep", "1000"],
    name: "ode",
    Labels: { a: "b" },
  });
  await container.start();
  expect((await container.inspect()).State.Running).toBe(true);
  expect((await docker.listContainers({ filters: { label: ["a=b"] } })).map((one) => one.Names[0])).toEqual([
    "/ode",
  ]);
  const exec = await container.exec({ Cmd: ["cat"], AttachStdin: true, AttachStdout: true });
  const stream = await exec.start({ hijack: true, stdin: true });
  const out = collector();
  docker.modem.demuxStream(stream, out.stream, out.stream);
  stream.on("end", () => out.stream.end());
  stream.end("typed");
  expect(await out.whole).toBe("typed");
  expect((await exec.inspect()).ExitCode).toBe(0);
  await container.stop({ t: 0 });
  await container.remove();
  await expect(docker.getContainer("ode").inspect()).rejects.toMatchObject({ statusCode: 404 });
});

test("attach before start sees everything", async () => {
  const container = await docker.createContainer({
    Image: "busybox",
    Cmd: ["cat"],
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
  });
  const stream = await container.attach({ stream: true, stdin: true, stdout: true, hijack: true });
  const out = collector();
  docker.modem.demuxStream(stream, out.stream, out.stream);
  stream.on("end", () => out.stream.end());
  await container.start();
  stream.end("all of it\n");
  expect((await container.wait()).StatusCode).toBe(0);
  expect(await out.whole).toBe("all of it\n");
});

test("events arrive as they happen", async () => {
  const events = await docker.getEvents({ filters: { type: ["container"] } });
  const seen: string[] = [];
  const done = new Promise<void>((resolve) => {
    createInterface({ input: events }).on("line", (line) => {
      seen.push(JSON.parse(line).Action);
      if (seen.includes("destroy")) resolve();
    });
  });
  // It asks for the exit code once the start was answered, when the container may be gone: the daemon remembers it.
  await docker.run("busybox", ["true"], new PassThrough(), { HostConfig: { AutoRemove: true } });
  await done;
  expect(seen.filter((action) => !["attach", "resize"].includes(action))).toEqual([
    "create",
    "start",
    "die",
    "destroy",
  ]);
  (events as unknown as { destroy(): void }).destroy();
});

test("volumes and networks", async () => {
  await docker.createVolume({ Name: "odevol" });
  expect((await docker.listVolumes()).Volumes.map((one) => one.Name)).toEqual(["odevol"]);
  const network = await docker.createNetwork({ Name: "odenet" });
  expect((await network.inspect()).Name).toBe("odenet");
});
