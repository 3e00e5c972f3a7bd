import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readCgroupStats } from "./stats.ts";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "tug-stats-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function cgroup(name: string, files: Readonly<Record<string, string>>): string {
  const directory = join(root, name);
  mkdirSync(directory, { recursive: true });
  for (const [file, text] of Object.entries({ "cgroup.procs": "1\n", ...files }))
    writeFileSync(join(directory, file), text);
  return directory;
}

test("a v2 cgroup's counters are read, with microseconds as nanoseconds and max as infinity", () => {
  const path = cgroup("v2", {
    "cpu.stat": "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 7\nnr_throttled 1\nthrottled_usec 4\n",
    "memory.current": "4096\n",
    "memory.max": "max\n",
    "memory.stat": "anon 10\ninactive_file 20\n",
    "memory.events": "low 0\nmax 3\noom_kill 1\n",
    "pids.current": "2\n",
    "pids.max": "100\n",
    "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n",
  });
  const stats = readCgroupStats({ "": path });
  expect(stats?.cpu).toMatchObject({
    total: 5000n,
    user: 3000n,
    system: 2000n,
    periods: 7,
    throttled: 4000n,
  });
  expect(stats?.memory).toMatchObject({
    usage: 4096,
    limit: Number.POSITIVE_INFINITY,
    failures: 3,
    stat: { inactive_file: 20 },
  });
  expect(stats?.pids).toEqual({ current: 2, limit: 100 });
  expect(stats?.blkio.bytes).toContainEqual({ major: 8, minor: 0, op: "write", value: 2 });
  expect(stats?.blkio.operations).toContainEqual({ major: 8, minor: 0, op: "read", value: 3 });
});

test("a v1 cgroup's counters are read from each controller", () => {
  const one = (name: string, files: Readonly<Record<string, string>>) => cgroup(`v1-${name}`, files);
  const stats = readCgroupStats({
    cpuacct: one("cpuacct", {
      "cpuacct.usage": "123456789012345678\n",
      "cpuacct.stat": "user 2\nsystem 1\n",
      "cpuacct.usage_percpu": "5 6 \n",
    }),
    memory: one("memory", {
      "memory.usage_in_bytes": "8192\n",
      "memory.limit_in_bytes": "9223372036854771712\n",
      "memory.failcnt": "2\n",
      "memory.stat": "total_inactive_file 100\n",
    }),
    pids: one("pids", { "pids.current": "1\n", "pids.max": "max\n" }),
    blkio: one("blkio", {
      "blkio.throttle.io_service_bytes_recursive": "8:0 Read 11\n8:0 Total 11\nTotal 11\n",
    }),
  });
  expect(stats?.cpu).toMatchObject({ total: 123456789012345678n, user: 20_000_000n, perCpu: [5n, 6n] });
  expect(stats?.memory).toMatchObject({ usage: 8192, limit: Number.POSITIVE_INFINITY, failures: 2 });
  expect(stats?.blkio.bytes).toEqual([
    { major: 8, minor: 0, op: "read", value: 11 },
    { major: 8, minor: 0, op: "total", value: 11 },
  ]);
});

test("a cgroup that is gone has no stats", () => {
  expect(readCgroupStats({ "": join(root, "missing") })).toBeUndefined();
});
