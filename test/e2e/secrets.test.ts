import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { TestDaemon } from "../harness/daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 30_000);
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
  for (const file of filesBelow(daemon.dataRoot)) expect(readFileSync(file).includes(text)).toBe(false);
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

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    // Layers hold other people's files, and none of ours.
    if (entry.name === "overlay2" || entry.name === "rootfs" || entry.name === "content") return [];
    return entry.isDirectory() ? filesBelow(path) : entry.isFile() ? [path] : [];
  });
}
