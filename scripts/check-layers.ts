/**
 * Reads every import edge of src/ (type-only ones too) against the table of docs/architecture.md and fails on an edge that
 * the table does not allow, or on a cycle between files.
 */
import { dirname, join, relative, resolve } from "node:path";
import { Glob } from "bun";

/** folder -> what it may import besides itself, base/lib and base/spec. The longest matching folder speaks. */
const table: Readonly<Record<string, readonly string[]>> = {
  "base/lib": [],
  "base/spec": [],
  "base/sys": [],
  "base/store": [],
  "base/http": ["base/sys"],
  "base/rpc": ["base/sys"],
  "core/content": ["base/store", "base/sys"],
  "core/snapshot": ["base/store", "base/sys"],
  "core/runtime": ["base/store", "base/sys"],
  "core/plugin": ["base/http", "base/sys"],
  "core/distribution": ["core/content", "base/http"],
  "core/image": ["base/store", "base/sys", "core/content", "core/snapshot"],
  "core/files": ["base/sys", "core/snapshot", "core/runtime"],
  "core/network": ["base/store", "base/sys", "core/plugin"],
  "core/volume": ["base/store", "base/sys", "core/plugin"],
  "core/logging": ["base/store", "base/sys", "core/plugin"],
  engine: ["base/store", "base/sys", "core"],
  build: ["base/store", "base/sys", "core"],
  registry: ["base/http", "base/store", "core/content"],
  api: ["base/http", "base/rpc"],
  client: ["base/rpc"],
  cli: ["client"],
  helper: ["base/sys", "core", "build"],
  daemon: ["base", "core", "engine", "build", "registry", "api", "helper"],
  bin: ["cli", "daemon", "helper"],
};

const src = resolve(import.meta.dir, "../src");
const files = [...new Glob("**/*.ts").scanSync(src)].sort();
const pattern =
  /(?:^|[\s;}])(?:import|export)\s[^"';]*?from\s*["']([^"']+)["']|(?:import|require)\(\s*["']([^"']+)["']\s*\)|(?:^|[\s;])import\s*["']([^"']+)["']/g;
const problems: string[] = [];
const graph = new Map<string, string[]>();

const owner = (file: string): string | undefined =>
  Object.keys(table)
    .filter((folder) => file === folder || file.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length)[0];
const within = (file: string, folder: string) => file.startsWith(`${folder}/`);
/** core/snapshot/drivers/overlay2/x.ts -> core/snapshot/drivers/overlay2 */
const driver = (file: string) => /^(core\/[^/]+\/drivers\/[^/.]+)/.exec(file)?.[1];

for (const file of files) {
  const text = (await Bun.file(join(src, file)).text()).replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const from = owner(file);
  if (!from) {
    problems.push(`${file}: lies in no folder of the table`);
    continue;
  }
  const edges: string[] = [];
  for (const match of text.matchAll(pattern)) {
    const target = match[1] ?? match[2] ?? match[3] ?? "";
    if (target === "bun:ffi" && from !== "base/sys")
      problems.push(`${file}: only base/sys may import bun:ffi`);
    if (!target.startsWith(".")) continue;
    const to = relative(src, resolve(src, dirname(file), target));
    if (to.startsWith("..")) {
      if (!to.endsWith(".json")) problems.push(`${file}: imports ${target} outside src`);
      continue;
    }
    edges.push(to);
    const isTest = file.endsWith(".test.ts") || file.includes("/testdata/");
    const allowed = ["base/lib", "base/spec", ...(table[from] ?? [])];
    const base = from.startsWith("base/lib") ? [] : from === "base/spec" ? ["base/lib"] : allowed;
    const ok = within(to, from) || base.some((folder) => within(to, folder));
    if (!ok && !isTest) problems.push(`${file}: ${from} may not import ${to}`);
    const mine = driver(file);
    const theirs = driver(to);
    if (theirs && mine && mine !== theirs)
      problems.push(`${file}: a driver may not import its sibling ${theirs}`);
    if (theirs && !mine && !isTest && (from === "engine" || from === "build"))
      problems.push(`${file}: ${from} may not import a driver (${to})`);
  }
  if (!file.endsWith(".test.ts")) graph.set(file, edges);
}

const state = new Map<string, "open" | "done">();
const visit = (file: string, trail: readonly string[]): void => {
  if (state.get(file) === "done") return;
  if (state.get(file) === "open") {
    problems.push(`cycle: ${[...trail.slice(trail.indexOf(file)), file].join(" -> ")}`);
    return;
  }
  state.set(file, "open");
  for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
  state.set(file, "done");
};
for (const file of graph.keys()) visit(file, []);

if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exit(1);
}
console.log(`layers: ${files.length} files, every import edge allowed, no cycle`);
