import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

test("a confined process writes, links and renames inside, reads everywhere, and changes nothing outside", () => {
  const base = mkdtempSync(join(tmpdir(), "landlock-"));
  try {
    for (const name of ["in", "in/a", "in/b", "out"]) mkdirSync(join(base, name));
    writeFileSync(join(base, "out/canary"), "untouched");
    const script = `
      const { confineWritesTo } = await import(${JSON.stringify(join(import.meta.dir, "landlock.ts"))});
      const fs = require("node:fs");
      process.chdir(${JSON.stringify(base)});
      const results = [confineWritesTo("in")];
      const attempt = (run) => { try { run(); results.push("done"); } catch (error) { results.push(error.code); } };
      attempt(() => fs.writeFileSync("in/a/f", "x"));
      attempt(() => fs.linkSync("in/a/f", "in/b/g"));
      attempt(() => fs.renameSync("in/b/g", "in/a/h"));
      attempt(() => fs.rmSync("in/b", { recursive: true }));
      attempt(() => fs.readFileSync("out/canary"));
      attempt(() => fs.writeFileSync("out/canary", "bad"));
      attempt(() => fs.writeFileSync("out/new", "bad"));
      attempt(() => fs.unlinkSync("out/canary"));
      attempt(() => fs.mkdirSync("out/dir"));
      attempt(() => fs.linkSync("in/a/f", "out/f"));
      attempt(() => { const r = Bun.spawnSync(["true"]); if (r.exitCode !== 0) throw Object.assign(new Error(), { code: "EACCES" }); });
      console.log(JSON.stringify(results));
    `;
    const child = Bun.spawnSync([process.execPath, "-e", script]);
    if (!child.success) throw new Error(child.stderr.toString());
    const results: unknown[] = JSON.parse(child.stdout.toString());
    if (results[0] === false) return console.log("skipped: this kernel has no Landlock");
    expect(results.slice(0, 6)).toEqual([true, "done", "done", "done", "done", "done"]);
    for (const result of results.slice(6)) expect(["EACCES", "EXDEV"]).toContain(result as string);
    expect(readFileSync(join(base, "out/canary"), "utf8")).toBe("untouched");
    expect(readdirSync(join(base, "out"))).toEqual(["canary"]);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
});
