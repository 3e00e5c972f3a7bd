import { expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

test("sealed trees: only what was opened as writable takes writes, by whatever path; nothing is run", () => {
  const base = mkdtempSync(join(tmpdir(), "trees-"));
  try {
    for (const name of ["root", "own", "source", "scratch", "out"]) mkdirSync(join(base, name));
    writeFileSync(join(base, "source/file"), "content");
    writeFileSync(join(base, "out/canary"), "untouched");
    const script = `
      const { MountedTrees, openWritableDirectory } = await import(${JSON.stringify(join(import.meta.dir, "trees.ts"))});
      const fs = require("node:fs");
      process.chdir(${JSON.stringify(base)});
      const bind = (name, ...options) => [{ type: "bind", source: ${JSON.stringify(base)} + "/" + name, options: ["rbind", ...options] }];
      const trees = new MountedTrees(${JSON.stringify(join(base, "scratch"))});
      const root = trees.openWritable(bind("root"));
      const own = openWritableDirectory(${JSON.stringify(join(base, "own"))});
      const source = trees.open(bind("source", "ro"));
      trees.seal([root, own]);
      const at = (tree, name) => "/proc/thread-self/fd/" + tree.fd + "/" + name;
      const results = [];
      const attempt = (run) => { try { run(); results.push("done"); } catch (error) { results.push(error.code); } };
      attempt(() => fs.writeFileSync(at(root, "f"), "x"));
      attempt(() => fs.linkSync(at(root, "f"), at(root, "g")));
      attempt(() => fs.mkdirSync(at(own, "d")));
      attempt(() => fs.mkdirSync(at(root, "d")));
      attempt(() => fs.linkSync(at(root, "f"), at(root, "d/h")));
      attempt(() => fs.renameSync(at(root, "d/h"), at(root, "h")));
      attempt(() => fs.readFileSync(at(source, "file")));
      attempt(() => fs.readFileSync("out/canary"));
      attempt(() => fs.writeFileSync(at(source, "file"), "bad"));
      attempt(() => fs.writeFileSync("out/canary", "bad"));
      attempt(() => fs.writeFileSync("out/new", "bad"));
      attempt(() => fs.writeFileSync("root/by-path", "bad"));
      attempt(() => fs.writeFileSync("scratch/new", "bad"));
      attempt(() => fs.unlinkSync("out/canary"));
      attempt(() => fs.linkSync(at(root, "f"), "out/f"));
      attempt(() => fs.chmodSync("out", 0o777));
      attempt(() => { if (Bun.spawnSync(["true"]).exitCode !== 0) throw Object.assign(new Error(), { code: "EACCES" }); });
      console.log(JSON.stringify(results));
    `;
    const child = Bun.spawnSync([process.execPath, "-e", script]);
    const results: string[] = JSON.parse(child.stdout.toString() || `"${child.stderr}"`);
    expect(results.slice(0, 8)).toEqual(Array(8).fill("done"));
    for (const result of results.slice(8)) expect(["EROFS", "EACCES", "EXDEV"]).toContain(result);
    expect(results).toHaveLength(17);
    expect(readFileSync(join(base, "out/canary"), "utf8")).toBe("untouched");
    expect(readdirSync(join(base, "out"))).toEqual(["canary"]);
    expect(readdirSync(join(base, "root")).sort()).toEqual(["d", "f", "g", "h"]);
    // Nothing of it is left on the host, nor forbidden there.
    expect(existsSync(join(base, "own/d"))).toBe(true);
    writeFileSync(join(base, "out/after"), "");
    expect(readdirSync(join(base, "scratch"))).toEqual([]);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
});
