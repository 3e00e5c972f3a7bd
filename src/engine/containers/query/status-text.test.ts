import { expect, test } from "bun:test";
import { humanDuration } from "../../../base/lib/human-duration.ts";
import { freshState } from "../record.ts";
import { statusText } from "./status-text.ts";

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

test("spans read as Docker prints them", () => {
  const golden: readonly (readonly [number, string])[] = [
    [450, "Less than a second"],
    [1 * second, "1 second"],
    [45 * second, "45 seconds"],
    [60 * second, "About a minute"],
    [3 * minute, "3 minutes"],
    [35 * minute + 40 * second, "35 minutes"],
    [1 * hour, "About an hour"],
    [1 * hour + 45 * minute, "2 hours"],
    [3 * hour + 40 * minute, "4 hours"],
    [47 * hour, "47 hours"],
    [2 * day, "2 days"],
    [14 * day, "2 weeks"],
    [70 * day, "2 months"],
    [800 * day, "2 years"],
  ];
  for (const [ms, text] of golden) expect([ms, humanDuration(ms)]).toEqual([ms, text]);
});

test("each state has its words", () => {
  const now = Date.parse("2026-01-01T00:10:00Z");
  const at = { startedAt: "2026-01-01T00:00:00Z", finishedAt: "2026-01-01T00:09:58Z" };
  const text = (change: Partial<typeof freshState>) => statusText({ ...freshState, ...at, ...change }, now);
  expect(text({ status: "running" })).toBe("Up 10 minutes");
  expect(text({ status: "paused" })).toBe("Up 10 minutes (Paused)");
  expect(text({ status: "exited", exitCode: 137 })).toBe("Exited (137) 2 seconds ago");
  expect(text({ status: "restarting", exitCode: 1 })).toBe("Restarting (1) 2 seconds ago");
  const health = { failingStreak: 0, log: [] };
  expect(text({ status: "running", health: { ...health, status: "starting" } })).toBe(
    "Up 10 minutes (health: starting)",
  );
  expect(text({ status: "running", health: { ...health, status: "healthy" } })).toBe(
    "Up 10 minutes (healthy)",
  );
});
