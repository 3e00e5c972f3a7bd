import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readWholeFile, readWholeFileAside } from "./whole-file.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tug-whole-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fifo(name: string): string {
  const path = join(folder, name);
  Bun.spawnSync(["mkfifo", path]);
  return path;
}

/** Somebody who writes in two pieces with a pause between, and begins when `path` is opened. */
const writer = (path: string, before = "") =>
  Bun.spawn(["/bin/sh", "-c", `${before} exec 3>"$0"; printf one >&3; sleep 0.05; printf two >&3`, path]);

test("a file is read whole, whatever its size and however little of it the system tells", async () => {
  for (const size of [0, 1, 65_536, 65_537, 300_000]) {
    const path = join(folder, `file${size}`);
    writeFileSync(path, Buffer.alloc(size, "x"));
    expect(readWholeFile(path)).toHaveLength(size);
    expect(readWholeFile(path, { patience: 0 })).toHaveLength(size);
    expect(await readWholeFileAside(path)).toHaveLength(size);
  }
  expect(readWholeFile("/proc/self/status").toString()).toContain("Pid:");
  expect(readWholeFile("/dev/null", { patience: 0 })).toHaveLength(0);
});

test("a pipe is read to its end, however late its writer is", async () => {
  const path = fifo("late");
  for (const read of [
    () => readWholeFile(path),
    () => readWholeFile(path, { patience: 20_000 }),
    () => readWholeFileAside(path),
  ]) {
    for (const before of ["", "sleep 0.1;"]) {
      const late = writer(path, before);
      expect((await read()).toString()).toBe("onetwo");
      expect(await late.exited).toBe(0);
    }
  }
});

test("a pipe that nobody writes to is given up after a while, with or without somebody who has it open", async () => {
  const path = fifo("silent");
  expect(() => readWholeFile(path, { patience: 20 })).toThrow("nobody writes to it");
  const silent = Bun.spawn(["/bin/sh", "-c", `exec 3<>"$0"; echo open; read x`, path], {
    stdin: "pipe",
    stdout: "pipe",
  });
  await silent.stdout.getReader().read();
  expect(() => readWholeFile(path, { patience: 20 })).toThrow("nobody writes to it");
  silent.kill("SIGKILL");
  await silent.exited;
});

test("what has no end, or is no file, is refused", async () => {
  const tooLarge = "it is larger than 500 kB: is it the right file?";
  expect(() => readWholeFile("/dev/zero", { limit: 500 * 1024 })).toThrow(tooLarge);
  expect(() => readWholeFile("/dev/zero")).toThrow("64 MiB");
  await expect(readWholeFileAside("/dev/zero", 500 * 1024)).rejects.toThrow(tooLarge);
  mkdirSync(join(folder, "directory"));
  expect(() => readWholeFile(join(folder, "directory"))).toThrow("EISDIR");
  await expect(readWholeFileAside(join(folder, "directory"))).rejects.toThrow("EISDIR");
  expect(() => readWholeFile(join(folder, "missing"))).toThrow("ENOENT");
  await expect(readWholeFileAside(join(folder, "missing"))).rejects.toThrow("ENOENT");
});
