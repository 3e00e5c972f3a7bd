import { expect, test } from "bun:test";
import { NoneLogDriver } from "./none.ts";

test("none keeps nothing and says so", async () => {
  const log = await new NoneLogDriver().open();
  expect(log.monitorTarget).toBe("none");
  expect(() => log.read({ stdout: true, stderr: true, follow: false })).toThrow(
    "configured logging driver does not support reading",
  );
});
