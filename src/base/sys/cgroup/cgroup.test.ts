import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cgroupPids, killCgroup } from "./cgroup.ts";

/** The v2 tree, whole or beside the v1 controllers. */
const tree = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].find((path) =>
  existsSync(join(path, "cgroup.procs")),
);
const group = join(tree ?? "/nonexistent", `tug-test-cgroup-${process.pid}`);
const threaded = join(group, "threads");
beforeEach(() => {
  if (tree !== undefined) mkdirSync(threaded, { recursive: true });
});
afterEach(() => {
  for (const path of [threaded, group]) if (existsSync(path)) rmdirSync(path);
});
if (tree === undefined) console.warn("no cgroup v2 tree here: threaded cgroups are not tested");

test.skipIf(tree === undefined)(
  "processes of a cgroup with threaded ones below it are found and killed",
  async () => {
    const child = Bun.spawn(["sleep", "1000"]);
    try {
      writeFileSync(join(threaded, "cgroup.type"), "threaded");
      writeFileSync(join(group, "cgroup.procs"), String(child.pid));
      writeFileSync(join(threaded, "cgroup.threads"), String(child.pid));
      expect(cgroupPids({ "": group })).toEqual([child.pid]);
      expect(killCgroup({ "": group }, 9)).toBe(1);
    } finally {
      child.kill("SIGKILL");
      await child.exited;
    }
  },
);
