import { expect, test } from "bun:test";
import type { ContainerRecord, HealthRecord } from "../containers/record.ts";
import { healthCheckOf } from "./config.ts";
import { planFailure, policyAtExit } from "./on-failure.ts";

const healthcheck = { Test: ["CMD", "x"], OnFailure: "restart" };
const check = healthCheckOf({ Healthcheck: healthcheck });
if (!check) throw new Error("no check");
const health = (status: HealthRecord["status"]): HealthRecord => ({ status, failingStreak: 3, log: [] });
const record = (status: HealthRecord["status"], config: object = { Healthcheck: healthcheck }) =>
  ({
    definition: { config, host: { RestartPolicy: { Name: "no" } } },
    state: { health: health(status) },
  }) as unknown as ContainerRecord;

test("only an unhealthy container is acted upon, and only when that was asked for", () => {
  expect(planFailure(check, health("unhealthy"))).toEqual({ action: "restart", cause: "3 failed checks" });
  expect(planFailure(check, health("starting"))).toBeUndefined();
  expect(planFailure({ ...check, onFailure: "none" }, health("unhealthy"))).toBeUndefined();
});

test("what ended while unhealthy and is to be restarted comes back whatever its policy says", () => {
  expect(policyAtExit(record("unhealthy"))).toEqual({ Name: "always" });
  expect(policyAtExit(record("healthy"))).toEqual({ Name: "no" });
  expect(policyAtExit(record("unhealthy", {}))).toEqual({ Name: "no" });
});
