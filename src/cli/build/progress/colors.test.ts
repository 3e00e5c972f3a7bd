import { expect, test } from "bun:test";
import { paint, paletteOf } from "./colors.ts";

test("colours are buildx's unless the environment says others or none", () => {
  expect(paletteOf({})).toEqual({
    run: "\x1b[34m",
    cancel: "\x1b[33m",
    error: "\x1b[31m",
    warning: "\x1b[33m",
  });
  expect(paletteOf({ BUILDKIT_COLORS: "RUN=green:cancel=light-red:error=255,0,0:warning=default" })).toEqual({
    run: "\x1b[32m",
    cancel: "\x1b[91m",
    error: "\x1b[38;5;196m",
    warning: "\x1b[39m",
  });
  expect(paint("x", paletteOf({ NO_COLOR: "1", BUILDKIT_COLORS: "run=red" }).run)).toBe("x");
});

test("entries that are none change nothing", () => {
  for (const entry of ["run", "run=", "run=pink", "run=1,2", "run=1,2,300", "toString=red", "=red", "::"])
    expect(paletteOf({ BUILDKIT_COLORS: entry })).toEqual(paletteOf({}));
});
