import { basename } from "node:path";
import { internal } from "../../lib/errors.ts";

/**
 * Mounts a FUSE file system by the program that serves it. The program goes into the background when its mount is there, with a
 * session of its own, so it outlives its caller; it ends when it is unmounted.
 */
export function mountFuse(program: string, options: readonly string[], target: string): void {
  const child = Bun.spawnSync([program, "-o", options.join(","), target], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
    timeout: 30_000,
  });
  if (child.exitCode === 0) return;
  const text = child.stderr.toString().trim().split("\n").at(-1) ?? "";
  const reason = text === "" ? `it ended with ${child.signalCode ?? child.exitCode}` : text;
  throw internal(`${basename(program)} could not mount ${target}: ${reason}`);
}
