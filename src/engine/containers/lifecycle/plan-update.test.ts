import { expect, test } from "bun:test";
import { planUpdate } from "./plan-update.ts";

const cannot = "Cannot update container c1: ";

test("members without a value leave what was set", () => {
  const before = { Memory: 64, MemorySwap: 128, CpuShares: 5, PidsLimit: 9 };
  expect(planUpdate("c1", before, { Memory: 32, CpuShares: 0 })).toEqual({
    host: { ...before, Memory: 32 },
    limits: true,
  });
  expect(planUpdate("c1", before, {})).toEqual({ host: before, limits: false });
  expect(planUpdate("c1", before, { PidsLimit: 0 }).host.PidsLimit).toBe(0);
});

test("an empty list takes block I/O limits away", () => {
  const before = { BlkioDeviceReadBps: [{ Path: "/dev/x", Rate: 1 }] };
  expect(planUpdate("c1", before, { BlkioDeviceReadBps: [] })).toEqual({
    host: { BlkioDeviceReadBps: [] },
    limits: true,
  });
});

test("contradictions are refused in dockerd's words", () => {
  expect(() => planUpdate("c1", { MemorySwap: 10 }, { Memory: 20 })).toThrow(
    `${cannot}Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time`,
  );
  expect(() => planUpdate("c1", { CpuQuota: 10 }, { NanoCpus: 20 })).toThrow(
    `${cannot}Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set`,
  );
  expect(() => planUpdate("c1", { AutoRemove: true }, { RestartPolicy: { Name: "always" } })).toThrow(
    `${cannot}Restart policy cannot be updated because AutoRemove is enabled for the container`,
  );
});
