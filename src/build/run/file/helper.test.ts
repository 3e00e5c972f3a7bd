import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BuildFilesHelper } from "./helper.ts";

setDefaultTimeout(60_000);

test("a request is answered although no spare can be started for the next one, which then says why", async () => {
  const root = mkdtempSync(join(tmpdir(), "helper-"));
  const program = join(root, "program");
  symlinkSync(process.execPath, program);
  await using helper = new BuildFilesHelper({
    helperCommand: [program, join(import.meta.dir, "../../../helper/main.ts")],
  });
  try {
    for (const name of ["layer", "into"]) mkdirSync(join(root, name));
    writeFileSync(join(root, "layer/file"), "text");
    helper.warm();
    rmSync(program);
    const request = { op: "restack", layer: join(root, "layer"), into: join(root, "into") } as const;
    const { signal } = new AbortController();
    expect((await helper.run(request, signal)).kind).toBe("done");
    expect(readdirSync(join(root, "into"))).toEqual(["file"]);
    await expect(helper.run(request, signal)).rejects.toThrow(program);
  } finally {
    rmSync(root, { recursive: true });
  }
});
