import { expect, test } from "bun:test";
import { checkFree, parsePool } from "./pool.ts";

const table = "0 2097152 thin-pool 7:0 7:1 128 32768 1 skip_block_zeroing\n";

test("a pool's table and status are read as bytes", () => {
  const status = "0 2097152 thin-pool 3 71/4096 1024/16384 - rw discard_passdown queue_if_no_space - 1024 \n";
  expect(parsePool(table, status)).toEqual({
    dataUsed: 1024 * 65_536,
    dataTotal: 16_384 * 65_536,
    metadataUsed: 71 * 4096,
    metadataTotal: 4096 * 4096,
    mode: "rw",
  });
});

test("another device is no pool, nor is one that failed", () => {
  expect(parsePool("0 2097152 linear 7:0 0\n", "0 2097152 linear \n")).toBeUndefined();
  expect(parsePool(table, "0 2097152 thin-pool Fail\n")).toBeUndefined();
  expect(parsePool("", "")).toBeUndefined();
});

test("nothing is begun in a pool that is nearly full, in data or metadata, or that cannot be written to", () => {
  const pool = { dataUsed: 50, dataTotal: 100, metadataUsed: 50, metadataTotal: 100, mode: "rw" };
  expect(() => checkFree(pool, "p", 50)).not.toThrow();
  expect(() => checkFree({ ...pool, dataUsed: 51 }, "p", 50)).toThrow(
    /thin pool p has less than 50% of its data space/,
  );
  expect(() => checkFree({ ...pool, metadataUsed: 91 }, "p", 10)).toThrow(/of its metadata space/);
  expect(() => checkFree({ ...pool, mode: "out_of_data_space" }, "p", 0)).toThrow(
    /in mode out_of_data_space/,
  );
});
