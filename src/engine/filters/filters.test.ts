import { expect, test } from "bun:test";
import { Filters } from "./filters.ts";

test("an unknown filter is refused with Docker's text", () => {
  expect(() => Filters.parse({ colour: ["red"] }, ["name"])).toThrow("invalid filter 'colour'");
});

test("a boolean filter must agree with itself", () => {
  expect(Filters.parse({}).bool("dangling", true)).toBe(true);
  expect(Filters.parse({ dangling: ["1"] }).bool("dangling", false)).toBe(true);
  expect(Filters.parse({ dangling: ["false", "0"] }).bool("dangling", true)).toBe(false);
  expect(() => Filters.parse({ dangling: ["maybe"] }).bool("dangling", false)).toThrow(
    "invalid filter 'dangling=[maybe]'",
  );
  expect(() => Filters.parse({ dangling: ["true", "false"] }).bool("dangling", false)).toThrow(
    "invalid filter",
  );
});

test("names match exactly, by prefix or as a pattern, and absent filters match everything", () => {
  const filters = Filters.parse({ name: ["^we", "["] });
  expect(filters.match("name", "web")).toBe(true);
  expect(filters.match("name", "a[b")).toBe(false);
  expect(filters.match("name", "[")).toBe(true);
  expect(filters.match("other", "x")).toBe(true);
  expect(Filters.parse({ id: ["ab"] }).prefix("id", "abc")).toBe(true);
  expect(Filters.parse({ id: ["ab"] }).exact("id", "abc")).toBe(false);
});

test("labels must all hold, with or without a value", () => {
  const filters = Filters.parse({ label: ["a", "b=2"], "label!": ["c"] });
  expect(filters.matchLabels("label", { a: "", b: "2" })).toBe(true);
  expect(filters.matchLabels("label", { a: "", b: "3" })).toBe(false);
  expect(filters.matchLabels("label", { b: "2" })).toBe(false);
  expect(filters.excludesLabels("label!", { a: "" })).toBe(true);
  expect(filters.excludesLabels("label!", { c: "x" })).toBe(false);
});

test("until takes one duration or time", () => {
  expect(Filters.parse({ until: ["1m"] }).timestamp("until", 61_000)).toBe(1_000_000_000n);
  expect(() => Filters.parse({ until: ["1m", "2m"] }).timestamp("until", 0)).toThrow(
    "more than one until filter specified",
  );
  expect(() => Filters.parse({ until: ["soon"] }).timestamp("until", 0)).toThrow('"soon"');
});
