import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { eventually, TestDaemon } from "../harness/daemon.ts";
import { mountPoints } from "../harness/machine.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const text = "correct-horse-battery-staple";

test("a secret is a file on a tmpfs, with the owner and mode asked for, also after a restart of the daemon", async () => {
  await daemon.ok(["secret", "create", "plain", "-"], { input: text });
  await daemon.restart();
  expect(await daemon.ok(["run", "--rm", "--secret", "plain", "busybox", "cat", "/run/secrets/plain"])).toBe(
    text,
  );
  const script =
    "cat /etc/pass; stat -c ' %u %a' /etc/pass; grep -c 'tmpfs.*/etc/pass\\|/etc/pass .*tmpfs' /proc/mounts";
  expect(
    await daemon.ok([
      "run",
      "--rm",
      "-u",
      "1000",
      "--secret",
      "source=plain,target=/etc/pass,uid=1000,mode=0440",
      "busybox",
      "sh",
      "-c",
      script,
    ]),
  ).toBe(`${text} 1000 440\n1`);
  const write = await daemon.tug([
    "run",
    "--rm",
    "--secret",
    "plain",
    "busybox",
    "touch",
    "/run/secrets/new",
  ]);
  expect(write.stderr).toContain("Read-only file system");
  await daemon.ok(["secret", "rm", "plain"]);
});

test("its text is in no inspect, event, log or file of the daemon, and it stays while a container has it", async () => {
  await daemon.ok(["secret", "create", "-l", "a=b", "hidden", "-"], { input: text });
  await daemon.ok(["run", "-d", "--name", "holder", "--secret", "hidden", "busybox", "sleep", "1000"]);
  const said = [
    await daemon.ok(["inspect", "holder"]),
    await daemon.ok(["secret", "inspect", "hidden"]),
    await daemon.ok(["secret", "ls"]),
    await daemon.ok(["events", "--since", "1m", "--until", String(Date.now() / 1000)]),
    daemon.log,
  ].join("\n");
  expect(said).toContain("hidden");
  expect(said).not.toContain(text);
  expect(filesWithText()).toEqual([]);
  const refused = await daemon.tug(["secret", "rm", "hidden"]);
  expect(refused.stderr).toContain("is in use by the following container: holder");
  await daemon.ok(["rm", "-f", "holder"]);
  await daemon.ok(["secret", "rm", "hidden"]);
});

test("an unknown secret is an error of the request, not a missing image", async () => {
  const result = await daemon.tug(["run", "--rm", "--secret", "nosuch", "busybox", "true"]);
  expect([result.code, result.stderr]).toEqual([125, expect.stringContaining("secret nosuch not found")]);
  expect(result.stderr).not.toContain("Unable to find image");
});

test("no layer, export or commit has it; it goes with the run and is made again by the next, also after a crash", async () => {
  await daemon.ok(["secret", "create", "kept", "-"], { input: text });
  await daemon.ok([
    ...["run", "-d", "--name", "holder", "--restart", "always", "--secret", "kept"],
    ...["--secret", "source=kept,target=/etc/app/pass", "busybox", "sleep", "1000"],
  ]);
  const id = await daemon.ok(["inspect", "-f", "{{.Id}}", "holder"]);
  const state = join(daemon.execRoot, "containers", id, "secrets");
  const seen = () => daemon.ok(["exec", "holder", "cat", "/run/secrets/kept", "/etc/app/pass"]);
  expect(await seen()).toBe(text + text);
  for (const path of ["/run/secrets/kept", "/etc/app/pass"]) {
    const copied = await daemon.tug(["cp", `holder:${path}`, "-"]);
    expect([copied.code, copied.stdout]).toEqual([1, ""]);
    expect(copied.stderr).toContain(`Could not find the file ${path} in container holder`);
  }
  for (const path of ["/run", "/run/secrets", "/etc/app", "/etc"]) {
    const copied = await daemon.ok(["cp", `holder:${path}`, "-"]);
    expect([copied.includes(text), copied.includes(path.slice(1))]).toEqual([
      false,
      path.lastIndexOf("/") === 0,
    ]);
  }
  await daemon.ok(["commit", "holder", "copy"]);
  const exported = await daemon.ok(["export", "holder"]);
  expect(exported).not.toContain(text);
  expect(await daemon.ok(["diff", "holder"])).not.toContain("kept");
  expect(await daemon.ok(["run", "--rm", "copy", "sh", "-c", "ls /run/secrets; cat /etc/app/pass"])).toBe("");
  await daemon.ok(["stop", "-t", "0", "holder"]);
  expect(mountPoints().filter((point) => point.startsWith(state))).toEqual([]);
  expect(await daemon.ok(["cp", "holder:/etc/app/pass", "-"])).not.toContain(text);
  await daemon.ok(["start", "holder"]);
  const pid = Number(await daemon.ok(["inspect", "-f", "{{.State.Pid}}", "holder"]));
  await daemon.crash();
  process.kill(pid, "SIGKILL");
  await eventually("its process has ended", () => !existsSync(`/proc/${pid}`));
  await daemon.up();
  await eventually("it runs again", async () => (await daemon.tug(["exec", "holder", "true"])).code === 0);
  expect(await seen()).toBe(text + text);
  expect(filesWithText()).toEqual([]);
  await daemon.ok(["rm", "-f", "holder"]);
  await daemon.ok(["rmi", "copy"]);
  await daemon.ok(["secret", "rm", "kept"]);
});

test("bad secrets and references are refused", async () => {
  const create = (name: string, input: string | Uint8Array) =>
    daemon.tug(["secret", "create", name, "-"], { input });
  expect((await create("bad-", "x")).stderr).toContain("only 64 [a-zA-Z0-9-_.] characters allowed");
  expect((await create("empty", "")).stderr).toContain("secret data must be larger than 0");
  expect((await create("big", new Uint8Array(512_001))).stderr).toContain("less than 512000 bytes");
  await daemon.ok(["secret", "create", "twice", "-"], { input: "x" });
  expect((await create("twice", "x")).stderr).toContain("secret twice already exists");
  const run = async (reference: string) =>
    (await daemon.tug(["create", "--secret", reference, "busybox", "true"])).stderr;
  expect(await run("source=twice,target=../../etc/passwd")).toContain("invalid secret target");
  expect(await run("source=twice,uid=-1")).toContain("invalid");
  await daemon.ok(["secret", "rm", "twice"]);
});

/** Files of the daemon's that hold the text, whatever they are: databases with their journals, logs. Layers hold other people's files. */
function filesWithText(): readonly string[] {
  const found = Bun.spawnSync(["grep", "-rlaF", text, daemon.dataRoot]).stdout.toString();
  return found.split("\n").filter((path) => path !== "" && !path.includes("/rootfs/"));
}
