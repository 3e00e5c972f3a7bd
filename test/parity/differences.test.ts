import { expect, test } from "bun:test";
import { join } from "node:path";
import { differences } from "./differences.ts";
import { commandOf, type Story } from "./story.ts";

test("every recorded difference is of a step that is told, and no two stories have one name", async () => {
  const folder = join(import.meta.dir, "stories");
  const modules = await Promise.all(
    [...new Bun.Glob("*.ts").scanSync(folder)].map((name) => import(join(folder, name))),
  );
  const stories = modules
    .flatMap((module) => Object.values(module as Record<string, unknown>).flat())
    .filter((one): one is Story => typeof one === "object" && one !== null && "steps" in one);
  const told = new Set(
    stories.flatMap((story) => story.steps.map((step) => `${story.name}: ${commandOf(step)}`)),
  );
  const lost = differences.map((one) => `${one.scenario}: ${one.command}`).filter((one) => !told.has(one));
  expect(lost).toEqual([]);
  const names = stories.map((story) => story.name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});
