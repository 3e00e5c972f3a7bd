import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { globalFlags } from "../globals.ts";
import { lookUp } from "../main.ts";
import { entries } from "./table.ts";

/** Facts of Docker's command line, where the reference data lies beside the project. */
const reference = new URL("../../../../shared/spec/docker-cli.json", import.meta.url).pathname;
const missing = !existsSync(reference);

interface Facts {
  readonly flags: readonly {
    readonly name: string;
    readonly shorthand: string | null;
    readonly type: string;
    readonly default: string | null;
  }[];
  readonly hidden_flags?: readonly (string | { readonly name: string })[];
  readonly usage: string;
  readonly aliases: readonly string[];
}
const load = async () => ((await Bun.file(reference).json()) as { commands: Record<string, Facts> }).commands;

describe("the command table", () => {
  test("every row loads a command", async () => {
    for (const entry of entries) expect((await entry.load()).command.run).toBeFunction();
  });

  test("no two rows answer to the same words", () => {
    const words = entries.flatMap((entry) => [entry.path, ...(entry.top === undefined ? [] : [entry.top])]);
    expect(new Set(words).size).toBe(words.length);
  });

  test("short, long and alias forms lead to one command", () => {
    const paths = [["ps"], ["container", "ls"], ["container", "list"], ["container", "ps"]].map((words) => {
      const found = lookUp(words);
      return found.kind === "command" ? found.entry.path : found.kind;
    });
    expect(new Set(paths)).toEqual(new Set(["container ls"]));
  });

  test.skipIf(missing)(
    "it has Docker's flags, their letters, types and defaults (reference data beside the project)",
    async () => {
      const docker = await load();
      const problems: string[] = [];
      for (const entry of entries) {
        const facts = docker[entry.path];
        if (!facts) continue; // a command of Tug's own
        const { command } = await entry.load();
        for (const fact of facts.flags) {
          const flag = command.flags[fact.name];
          const where = `${entry.path} --${fact.name}`;
          if (!flag) {
            problems.push(`${where} is missing`);
            continue;
          }
          if ((flag.short || null) !== fact.shorthand)
            problems.push(`${where}: letter ${flag.short} instead of ${fact.shorthand}`);
          const kind = flag.kind === "" ? "bool" : flag.kind;
          if (kind !== fact.type) problems.push(`${where}: type ${kind} instead of ${fact.type}`);
          const initial = flag.shown?.replace(/^"(.*)"$/, "$1") ?? null;
          if (initial !== fact.default)
            problems.push(`${where}: default ${initial} instead of ${fact.default}`);
          if (flag.help === "") problems.push(`${where}: nothing in help`);
          if (flag.hidden) problems.push(`${where} is hidden`);
        }
        for (const hidden of facts.hidden_flags ?? []) {
          const name = typeof hidden === "string" ? hidden : hidden.name;
          const known =
            name in command.flags ||
            Object.values(command.flags).some((flag) => flag.aliases?.includes(name));
          if (!known) problems.push(`${entry.path} --${name} (hidden) is missing`);
        }
      }
      expect(problems).toEqual([]);
    },
  );

  test.skipIf(missing)(
    "it has Docker's commands and aliases (reference data beside the project)",
    async () => {
      const docker = await load();
      const nouns = "builder checkpoint container image network secret volume system manifest".split(" ");
      const wanted = Object.entries(docker).filter(([path]) =>
        nouns.some((noun) => path.startsWith(`${noun} `)),
      );
      const problems: string[] = [];
      for (const [path, facts] of wanted) {
        for (const alias of [`docker ${path}`, ...facts.aliases]) {
          const words = alias.split(" ").slice(1);
          if (lookUp(words).kind !== "command") problems.push(words.join(" "));
        }
      }
      expect(problems).toEqual([]);
    },
  );

  test.skipIf(missing)("the global flags are Docker's (reference data beside the project)", async () => {
    const root = (await load())[""];
    expect(Object.keys(globalFlags).sort()).toEqual((root?.flags ?? []).map((flag) => flag.name).sort());
  });
});
