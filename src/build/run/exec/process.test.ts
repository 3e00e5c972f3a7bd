import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runStepProcess, runtimeLog } from "./process.ts";

// A machine under load takes its time.
setDefaultTimeout(60_000);

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "tug-process-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

test("what a runtime says before it writes it down is no output of the step's, however long it takes to", async () => {
  const said: string[] = [];
  const log = '{"msg":"executable file `/bin/x` not found","level":"error"}';
  const runtime = `echo "executable file \\\`/bin/x\\\` not found" >&2; sleep 0.3; echo '${log}' >${runtimeLog(directory).path}; exit 1`;
  const end = await runStepProcess({
    command: ["/bin/sh", "-c", runtime],
    directory,
    cgroups: {},
    signal: new AbortController().signal,
    output: (_stream, bytes) => void said.push(Buffer.from(bytes).toString()),
  });
  expect(end.complaint).toBe("executable file `/bin/x` not found");
  expect(said).toEqual([]);
});
