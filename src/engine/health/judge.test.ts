import { expect, test } from "bun:test";
import { healthCheckOf } from "./config.ts";
import { judge, probeDelayMs, startingHealth } from "./judge.ts";

const seconds = (n: number) => n * 1_000_000_000;
const check = healthCheckOf({
  Healthcheck: { Test: ["CMD-SHELL", "true"], Interval: seconds(10), StartPeriod: seconds(60), Retries: 2 },
});
if (!check) throw new Error("no check");
const result = (exitCode: number) => ({ start: "s", end: "e", exitCode, output: "" });

test("a shell check runs under the container's shell, and NONE is no check", () => {
  expect(check.command).toEqual(["/bin/sh", "-c", "true"]);
  expect(
    healthCheckOf({ Shell: ["/bin/ash", "-ec"], Healthcheck: { Test: ["CMD-SHELL", "x"] } })?.command,
  ).toEqual(["/bin/ash", "-ec", "x"]);
  expect(healthCheckOf({ Healthcheck: { Test: ["NONE"] } })).toBeUndefined();
  expect(healthCheckOf({})).toBeUndefined();
});

test("failures in the start period do not count, and the start interval holds until then", () => {
  const health = judge(startingHealth, result(1), check, 59_000);
  expect(health).toMatchObject({ status: "starting", failingStreak: 0 });
  expect(probeDelayMs(health, check, 59_000)).toBe(5_000);
  expect(probeDelayMs(health, check, 61_000)).toBe(10_000);
});

test("a success is healthy at once, and failures after it count even in the start period", () => {
  let health = judge(startingHealth, result(0), check, 1_000);
  expect(health.status).toBe("healthy");
  health = judge(health, result(1), check, 2_000);
  expect(health).toMatchObject({ status: "healthy", failingStreak: 1 });
  health = judge(health, result(-1), check, 3_000);
  expect(health).toMatchObject({ status: "unhealthy", failingStreak: 2 });
  expect(judge(health, result(0), check, 4_000)).toMatchObject({ status: "healthy", failingStreak: 0 });
});

test("the last five results are kept", () => {
  let health = startingHealth;
  for (let n = 0; n < 8; n++) health = judge(health, result(n), check, 100_000);
  expect(health.log.map((entry) => entry?.ExitCode)).toEqual([3, 4, 5, 6, 7]);
});
