import { expect, test } from "bun:test";
import { parseInventory } from "./inventory.ts";

const digest = `sha256:${"a".repeat(64)}`;

test("an inventory is read with its lists, which may lack", () => {
  expect(parseInventory({ Version: 1, Blobs: [digest], Later: true })).toEqual({
    Version: 1,
    Blobs: [digest],
    Chains: [],
  });
});

test("what is none is refused", () => {
  const lists = [{}, [1], ["sha256:.."]];
  const values = [
    null,
    [],
    "x",
    {},
    { Version: "1" },
    { Version: 2 },
    ...lists.map((Blobs) => ({ Version: 1, Blobs })),
  ];
  for (const value of values) expect(() => parseInventory(value)).toThrow(/inventory/);
});
