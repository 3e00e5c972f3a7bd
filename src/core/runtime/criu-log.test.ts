import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { criuReason } from "./criu-log.ts";

const directory = mkdtempSync("/tmp/tug-criu-");
afterAll(() => rmSync(directory, { recursive: true }));

test("CRIU's complaints are told once each, without its time stamps", () => {
  const lines = [
    "(00.000000) Version: 3.17.1 (gitid 0)",
    "(00.002817) Error (criu/vdso.c:613): vdso: Failed to fill self vdso symtable",
    "(00.002821)      7: Error (criu/kerndat.c:1615): kerndat failed",
    "(00.002830) Error (criu/kerndat.c:1615): kerndat failed",
  ];
  writeFileSync(join(directory, "dump.log"), lines.join("\n"));
  expect(criuReason(directory, "dump.log")).toBe("vdso: Failed to fill self vdso symtable; kerndat failed");
});

test("a log that is missing, or a link to another file, says nothing", () => {
  expect(criuReason(directory, "none.log")).toBe("");
  symlinkSync(join(directory, "dump.log"), join(directory, "link.log"));
  expect(criuReason(directory, "link.log")).toBe("");
});
