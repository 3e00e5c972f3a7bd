import { describe, expect, test } from "bun:test";
import { DetachFilter, defaultDetachKeys, parseDetachKeys } from "./detach-keys.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (b: Uint8Array) => new TextDecoder().decode(b);

describe("parseDetachKeys", () => {
  test("reads control keys, single characters and DEL", () => {
    expect(parseDetachKeys("ctrl-p,ctrl-q")).toEqual([16, 17]);
    expect(parseDetachKeys("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_")).toEqual([0, 27, 28, 29, 30, 31]);
    expect(parseDetachKeys("a,DEL,Z")).toEqual([97, 127, 90]);
  });
  test("takes the default for nothing", () => {
    expect(parseDetachKeys("")).toEqual(defaultDetachKeys);
    expect(parseDetachKeys(undefined)).toEqual(defaultDetachKeys);
  });
  test("refuses unknown names with Docker's message", () => {
    expect(() => parseDetachKeys("ctrl-p,foo")).toThrow(
      "Invalid detach keys (ctrl-p,foo) provided: Unknown character: 'foo'",
    );
  });
});

describe("DetachFilter", () => {
  test("passes ordinary input untouched", () => {
    const input = bytes("hello");
    expect(new DetachFilter([16, 17]).feed(input).forward).toBe(input);
  });
  test("finds the sequence within one read and across reads", () => {
    const filter = new DetachFilter([16, 17]);
    expect(text(filter.feed(bytes("ab\x10")).forward)).toBe("ab");
    const last = filter.feed(bytes("\x11cd"));
    expect(last.detached).toBe(true);
    expect(text(last.forward)).toBe("");
  });
  test("gives held bytes back when the sequence is not completed", () => {
    const filter = new DetachFilter([16, 17]);
    expect(text(filter.feed(bytes("\x10")).forward)).toBe("");
    expect(text(filter.feed(bytes("x")).forward)).toBe("\x10x");
  });
  test("restarts inside a repeated prefix", () => {
    const filter = new DetachFilter([1, 1, 2]);
    const found = filter.feed(new Uint8Array([1, 1, 1, 2]));
    expect(found).toEqual({ forward: new Uint8Array([1]), detached: true });
  });
});
