import { expect, test } from "bun:test";
import { DetachScanner, parseDetachKeys } from "./detach-keys.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (part: Uint8Array) => new TextDecoder().decode(part);

test("the default is ctrl-p,ctrl-q and letters and control keys can be mixed", () => {
  expect(parseDetachKeys(undefined)).toEqual([16, 17]);
  expect(parseDetachKeys("ctrl-a,x,ctrl-[")).toEqual([1, 120, 27]);
  expect(() => parseDetachKeys("ctrl-")).toThrow("Invalid detach keys");
  expect(() => parseDetachKeys("shift-a")).toThrow("Invalid detach keys");
});

test("a sequence cut between chunks detaches, and what came before passes", () => {
  const scanner = new DetachScanner(parseDetachKeys(undefined));
  const first = scanner.push(bytes("ls\x10"));
  expect([text(first.pass), first.detached]).toEqual(["ls", false]);
  expect(scanner.push(bytes("\x11")).detached).toBe(true);
});

test("a sequence that is not finished is passed on unchanged", () => {
  const scanner = new DetachScanner(parseDetachKeys(undefined));
  scanner.push(bytes("\x10"));
  expect(text(scanner.push(bytes("a\x10\x10")).pass)).toBe("\x10a\x10");
});
