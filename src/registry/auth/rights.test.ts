import { expect, test } from "bun:test";
import { codeOf } from "../../base/lib/errors.ts";
import { parseRepositoryName } from "../names.ts";
import type { Action } from "./access.ts";
import { matches, parsePattern, patternPrefix } from "./pattern.ts";
import { type AccessRule, allows } from "./rights.ts";

test("a star stays within a component, two cross them", () => {
  const table: readonly [string, readonly string[], readonly string[]][] = [
    ["team/*", ["team/a", "team/a.b-c"], ["team", "team/a/b", "teams/a"]],
    ["team/**", ["team/a", "team/a/b"], ["team", "other/team/a"]],
    ["**", ["a", "a/b/c"], []],
    ["a.b/c", ["a.b/c"], ["axb/c"]],
    ["*/base", ["x/base"], ["x/y/base", "base"]],
  ];
  for (const [text, yes, no] of table) {
    const pattern = parsePattern(text);
    for (const name of yes)
      expect([text, name, matches(pattern, parseRepositoryName(name))]).toEqual([text, name, true]);
    for (const name of no)
      expect([text, name, matches(pattern, parseRepositoryName(name))]).toEqual([text, name, false]);
  }
  expect(patternPrefix(parsePattern("team/a*/**"))).toBe("team/a");
  for (const bad of ["", "A", "a b", "(a+)+", "a//b", "***"]) {
    let code = "none";
    try {
      parsePattern(bad);
    } catch (error) {
      code = codeOf(error);
    }
    expect([bad, code]).toEqual([bad, "invalid-argument"]);
  }
});

test("nothing is allowed that no rule allows, and whoever may push may pull", () => {
  const rule = (more: Partial<AccessRule>): AccessRule => ({
    users: new Set(),
    groups: new Set(),
    authenticated: false,
    anonymous: false,
    repositories: [parsePattern("**")],
    actions: new Set<Action>(["pull"]),
    ...more,
  });
  const repository = parseRepositoryName("team/app");
  const may = (rules: readonly AccessRule[], user: string | undefined, action: Action) =>
    allows({ rules, groups: new Map([["dev", new Set(["bob"])]]) }, user, action, repository);
  expect(may([], "alice", "pull")).toBe(false);
  expect(may([rule({ authenticated: true })], undefined, "pull")).toBe(false);
  expect(may([rule({ anonymous: true })], undefined, "pull")).toBe(true);
  expect(may([rule({ anonymous: true })], undefined, "push")).toBe(false);
  const push = rule({ groups: new Set(["dev"]), actions: new Set<Action>(["push"]) });
  expect([may([push], "bob", "push"), may([push], "bob", "pull"), may([push], "bob", "delete")]).toEqual([
    true,
    true,
    false,
  ]);
  expect(may([push], "alice", "push")).toBe(false);
  expect(
    may([rule({ users: new Set(["alice"]), repositories: [parsePattern("other/*")] })], "alice", "pull"),
  ).toBe(false);
});
