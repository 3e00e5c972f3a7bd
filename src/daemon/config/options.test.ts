import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { daemonOptions, fileKey } from "./options.ts";

const text = readFileSync(join(import.meta.dir, "../../../docs/daemon.md"), "utf8");
const [effective = "", ineffective = ""] = text.split("## Accepted without effect");

test("the documentation names every option, and says of those without effect that they have none", () => {
  const named = (part: string, flag: string, key: string | undefined) =>
    new RegExp(`\`(?:tug daemon )?(?:--)?(?:${flag}|${key ?? flag})(?:[ =][^\`]*)?\``).test(part);
  const missing = daemonOptions.filter(
    (option) => !named(option.ignored ? ineffective : effective, option.flag, fileKey(option)),
  );
  const unsaid = ["help", "version", "authorization-plugin"];
  expect(missing.map((option) => option.flag).filter((flag) => !unsaid.includes(flag))).toEqual([]);
});

test("no two options share a flag, a letter or a key", () => {
  for (const names of [
    daemonOptions.map((option) => option.flag),
    daemonOptions.flatMap((option) => option.short ?? []),
    daemonOptions.flatMap((option) => fileKey(option) ?? []),
  ])
    expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
});
