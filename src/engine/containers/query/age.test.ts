import { expect, test } from "bun:test";
import type { ContainerRecord } from "../record.ts";
import { newestFirst } from "./age.ts";

test("containers are in the order of their making, however many digits a time has", () => {
  const times = ["2026-01-01T00:00:01Z", "2026-01-01T00:00:01.12Z", "2026-01-01T00:00:01.1Z"];
  const records = times.map((created) => ({ definition: { created } }) as ContainerRecord);
  expect(records.toSorted(newestFirst).map((record) => record.definition.created)).toEqual([
    "2026-01-01T00:00:01.12Z",
    "2026-01-01T00:00:01.1Z",
    "2026-01-01T00:00:01Z",
  ]);
});
