import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Task, TaskTable } from "./task-table.ts";

test("a task that lost its monitor is ended once at a time, however long that takes", async () => {
  const root = mkdtempSync(join(tmpdir(), "task-table-"));
  const dead = { pid: 2 ** 22 + 1, startTime: "1" };
  const task = (id: string) => {
    const dirs = { bundle: join(root, id), state: join(root, id) };
    mkdirSync(dirs.state);
    const record = { kind: "exec", boot: "b", runtime: "crun", cgroups: {}, hooks: false } as const;
    return new Task(id, dirs, { ...record, stdinOnce: false, started: true, init: dead, monitor: dead });
  };
  const told: string[] = [];
  const often = Promise.withResolvers<void>();
  const slow = Promise.withResolvers<void>();
  await using table = new TaskTable({
    onError: (error) => often.reject(error),
    onOrphan: async ({ id }) => {
      told.push(id);
      if (id === "slow") await slow.promise;
      if (told.filter((one) => one === "quick").length === 5) often.resolve();
    },
    sweepMs: 1,
  });
  try {
    for (const one of [task("slow"), task("quick")]) {
      table.add(one);
      table.watch(one);
    }
    await often.promise;
    expect(told.filter((one) => one === "slow")).toHaveLength(1);
  } finally {
    slow.resolve();
    rmSync(root, { recursive: true });
  }
});
