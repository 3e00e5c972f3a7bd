import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestDaemon } from "../harness/daemon.ts";

/** What becomes of steps that the machine does not let do what they want. Where systemd owns the cgroups, test/vm looks. */

let daemon: TestDaemon;
let context: string;

beforeAll(async () => {
  context = mkdtempSync(join(tmpdir(), "tug-build-steps-"));
  daemon = await TestDaemon.start();
}, 120_000);
afterAll(async () => {
  rmSync(context, { recursive: true, force: true });
  await daemon.stopAndClose();
}, 120_000);

const build = async (dockerfile: string, ...flags: string[]) => {
  writeFileSync(join(context, "Dockerfile"), dockerfile);
  return await daemon.tug(["build", "--progress", "plain", ...flags, context], { timeout: 60_000 });
};

const limits = existsSync("/sys/fs/cgroup/memory") || existsSync("/sys/fs/cgroup/cgroup.controllers");
if (!limits) console.log("skipped: steps out of memory: this machine has no memory controller");

test.skipIf(!limits)(
  "a step that ran out of memory says so, in BuildKit's words, and one that was killed otherwise does not",
  async () => {
    const bounds = ["-m", "16m", "--memory-swap", "16m"];
    const hungry = "tail /dev/zero";
    const failed = (script: string, why: string) =>
      `ERROR: failed to build: failed to solve: process "/bin/sh -c ${script}" did not complete successfully: ${why}\n`;
    const outcome = (script: string) => build(`FROM busybox\nRUN ${script}\n`, ...bounds);
    const alone = await outcome(hungry);
    expect(alone.stderr).toEndWith(failed(hungry, "cannot allocate memory"));
    expect(alone.code).toBe(1);
    const child = await outcome(`(${hungry}); exit 3`);
    expect(child.stderr).toEndWith(failed(`(${hungry}); exit 3`, "cannot allocate memory"));
    const killed = await outcome("kill -9 1; sleep 60 & kill -9 $!; wait $!");
    expect(killed.stderr).toEndWith(failed("kill -9 1; sleep 60 & kill -9 $!; wait $!", "exit code: 137"));
  },
  120_000,
);

test("the builder tells of this machine's platform first, and of each once", async () => {
  const shown = await daemon.ok(["buildx", "inspect"]);
  const platforms = /^Platforms:\s+(.*)$/m.exec(shown)?.[1]?.split(", ") ?? [];
  expect(platforms[0]).toBe(`linux/${process.arch === "x64" ? "amd64" : process.arch}`);
  expect(new Set(platforms).size).toBe(platforms.length);
});
