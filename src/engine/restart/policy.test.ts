import { expect, test } from "bun:test";
import { checkRestartPolicy, planRestart, restartsAtBoot } from "./policy.ts";

const exit = {
  exitCode: 1,
  restartCount: 0,
  stoppedByUser: false,
  ranMs: 5,
  lastBackoffMs: 0,
};

test("the wait doubles from 100 ms to a minute and starts over after ten steady seconds", () => {
  const policy = { Name: "always" };
  const waits: number[] = [];
  let lastBackoffMs = 0;
  for (let n = 0; n < 12; n++) {
    const plan = planRestart({ ...exit, policy, lastBackoffMs });
    if (!plan.restart) break;
    lastBackoffMs = plan.delayMs;
    waits.push(lastBackoffMs);
  }
  expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
  expect(planRestart({ ...exit, policy, lastBackoffMs, ranMs: 10_000 })).toMatchObject({ delayMs: 100 });
});

test("on-failure restarts failures only, and only so many times", () => {
  const policy = { Name: "on-failure", MaximumRetryCount: 2 };
  expect(planRestart({ ...exit, policy, exitCode: 0 }).restart).toBe(false);
  expect(planRestart({ ...exit, policy, restartCount: 1 }).restart).toBe(true);
  expect(planRestart({ ...exit, policy, restartCount: 2 }).restart).toBe(false);
});

test("a container stopped on request stays down until the daemon starts, and unless-stopped even then", () => {
  const stopped = { ...exit, stoppedByUser: true };
  expect(planRestart({ ...stopped, policy: { Name: "always" } }).restart).toBe(false);
  const boot = { stoppedByUser: true, wasRunning: false, exitCode: 0, restartCount: 0 };
  expect(restartsAtBoot({ ...boot, policy: { Name: "always" } })).toBe(true);
  expect(restartsAtBoot({ ...boot, policy: { Name: "unless-stopped" } })).toBe(false);
  expect(restartsAtBoot({ ...boot, stoppedByUser: false, policy: { Name: "unless-stopped" } })).toBe(true);
  expect(restartsAtBoot({ ...boot, policy: undefined })).toBe(false);
});

test("unknown policies and counts where none belong are refused", () => {
  expect(() => checkRestartPolicy({ Name: "sometimes" })).toThrow("unknown policy 'sometimes'");
  expect(() => checkRestartPolicy({ Name: "always", MaximumRetryCount: 3 })).toThrow("on-failure");
  expect(() => checkRestartPolicy({ Name: "on-failure", MaximumRetryCount: -1 })).toThrow("negative");
  checkRestartPolicy({ Name: "no" });
});
