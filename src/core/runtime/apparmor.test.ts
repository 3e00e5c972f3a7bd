import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { createLog } from "../../base/lib/log.ts";
import { apparmorEnabled, apparmorProfile, loadApparmorProfile } from "./apparmor.ts";

const parser = ["/sbin/apparmor_parser", "/usr/sbin/apparmor_parser"].find((path) => existsSync(path));

test.skipIf(parser === undefined)("the parser accepts the profile", async () => {
  const child = Bun.spawn([parser ?? "", "--skip-kernel-load", "--skip-cache", "--quiet"], {
    stdin: Buffer.from(apparmorProfile("tug-test")),
    stdout: "ignore",
    stderr: "pipe",
  });
  expect(await new Response(child.stderr).text()).toBe("");
  expect(await child.exited).toBe(0);
});

test.skipIf(apparmorEnabled())("a host without AppArmor is left alone without a word", async () => {
  const lines: string[] = [];
  await loadApparmorProfile(createLog("debug", (line) => lines.push(line)));
  expect(lines).toEqual([]);
});
