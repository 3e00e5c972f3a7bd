import { expect, test } from "bun:test";
import { engineNames, help, parseOptions, UsageError } from "./options.ts";

const names = ["run --rm (bridge)", "run --rm (host)", "ps", "ps of 360", "build, cold"];
const chosen = (...argv: string[]) => {
  const options = parseOptions(argv, names);
  return options.kind === "run" ? options.scenarios : options.kind;
};

test("no name means every scenario, a whole name that one, and a part all that have it, in the table's order", () => {
  expect(chosen()).toEqual(names);
  expect(chosen("ps")).toEqual(["ps"]);
  expect(chosen("build", "run")).toEqual(["run --rm (bridge)", "run --rm (host)", "build, cold"]);
});

test("help and list measure nothing, whatever else is asked", () => {
  expect(chosen("--help", "ps")).toBe("help");
  expect(chosen("-l")).toBe("list");
  for (const flag of ["--engines", "--json", "--list", "--help"]) expect(help).toContain(flag);
});

test("engines and the file for the numbers are what was asked for", () => {
  expect(parseOptions(["--engines=docker,tug", "--json", "x.json", "ps"], names)).toEqual({
    kind: "run",
    scenarios: ["ps"],
    engines: ["tug", "docker"],
    json: "x.json",
  });
  expect(parseOptions([], names)).toMatchObject({ engines: engineNames, json: undefined });
});

test("what it does not know is refused before anything is started", () => {
  for (const argv of [
    ["--nosuch"],
    ["-x"],
    ["nosuch"],
    [""],
    ["--engines", "lxc"],
    ["--json"],
    ["--help=yes"],
  ])
    expect(() => parseOptions(argv, names)).toThrow(UsageError);
});
