import { expect, test } from "bun:test";
import { emulators, foreignHint } from "./failure.ts";

const host = { os: "linux", architecture: "amd64" };
const arm = { os: "linux", architecture: "arm64" };

test("a failed step of another platform is told how it could run, where nothing emulates that", () => {
  expect(foreignHint(arm, host, [])).toContain("This step is for linux/arm64; this machine is linux/amd64");
  expect(foreignHint(arm, host, ["register", "qemu-aarch64"])).toBeUndefined();
  expect(foreignHint(host, host, [])).toBeUndefined();
});

test("a kernel without binfmt_misc emulates nothing", () => {
  expect(emulators("/nonexistent/binfmt_misc")).toEqual([]);
});
