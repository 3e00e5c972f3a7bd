import { expect, test } from "bun:test";
import { renderObject } from "./object.ts";

test("backslashes of an object's format are the template's own, unlike those of a list", () => {
  expect(renderObject({ Os: "linux" }, '{{.Os}}{{"\\n"}}x\\ty')).toBe("linux\nx\\ty\n");
});
