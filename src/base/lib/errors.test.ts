import { expect, test } from "bun:test";
import { causeOf, codeOf, conflict, isCode, messageOf } from "./errors.ts";

test("a clean-up that fails as well does not hide what went wrong first", async () => {
  const work = async () => {
    await using undo = new AsyncDisposableStack();
    for (const name of ["last", "first"]) {
      undo.defer(() => {
        throw new Error(`clean-up ${name}`);
      });
    }
    throw conflict("the name is taken");
  };
  const error = await work().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(SuppressedError);
  expect(messageOf(error)).toBe("the name is taken");
  expect(codeOf(error)).toBe("conflict");
  expect(isCode(error, "conflict")).toBe(true);
  expect(causeOf(causeOf(error))).toBe(causeOf(error));
});
