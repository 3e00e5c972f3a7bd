import { expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sealProgram } from "./sealed-program.ts";

test("a sealed program runs as the file does, and not even root can write to it", () => {
  using program = sealProgram("/bin/true");
  if (!program) throw new Error("this host lets no memfd be executed");
  expect(Bun.spawnSync([program.path]).exitCode).toBe(0);
  const fd = openSync(program.path, "r+");
  try {
    expect(() => writeSync(fd, "x")).toThrow("EPERM");
  } finally {
    closeSync(fd);
  }
});

test("a script is not sealed: its interpreter is told its path", () => {
  const directory = mkdtempSync(join(tmpdir(), "tug-sealed-"));
  try {
    writeFileSync(join(directory, "script"), "#!/bin/sh\nexit 0\n", { mode: 0o755 });
    expect(sealProgram(join(directory, "script"))).toBeUndefined();
  } finally {
    rmSync(directory, { recursive: true });
  }
});
