import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { commandInScope, scopeOf } from "./scope.ts";

const scratch = mkdtempSync("/tmp/tug-scope-");
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test("a container's scope is told from its cgroup, and one that is not its own is none", () => {
  const at = (path: string) => scopeOf({ "": `/sys/fs/cgroup${path}` }, "c1");
  expect(at("/team.slice/team-a.slice/tug-c1.scope/container")).toEqual({
    unit: "tug-c1.scope",
    slice: "team-a.slice",
    cgroups: { "": "/sys/fs/cgroup/team.slice/team-a.slice/tug-c1.scope" },
  });
  // As releases before this layout recorded them.
  expect(at("/system.slice/tug-c1.scope")?.unit).toBe("tug-c1.scope");
  expect(at("/tug-c1.scope/container")?.slice).toBe("-.slice");
  expect(at("/user.slice/session-1.scope/tug/c1")).toBeUndefined();
  expect(scopeOf({}, "c1")).toBeUndefined();
});

test("the command goes into the monitor's cgroup before it begins, whatever its words hold", () => {
  const scope = join(scratch, "it's.slice/tug-c1.scope");
  mkdirSync(scope, { recursive: true });
  // What systemd-run does once the scope stands: it executes the command.
  const programs = join(scratch, "bin");
  mkdirSync(programs);
  const fake = '#!/bin/sh\nwhile [ "$1" != /bin/sh ]; do shift; done\nexec "$@"\n';
  writeFileSync(join(programs, "systemd-run"), fake, { mode: 0o755 });
  const command = commandInScope({ unit: "tug-c1.scope", slice: "system.slice", cgroups: { "": scope } }, [
    "/bin/sh",
    "-c",
    'cat "$1"; printf "%s|" "$@"',
    "name",
    join(scope, "monitor/cgroup.procs"),
    "a b",
    "it's",
    "",
  ]);
  expect(command.slice(0, 3)).toEqual(["systemd-run", "--scope", "--quiet"]);
  expect(command).toContain("--property=Delegate=yes");
  const PATH = `${programs}:${process.env["PATH"]}`;
  const { stdout, success } = Bun.spawnSync(command, { env: { PATH } });
  expect(success).toBe(true);
  expect(stdout.toString()).toBe(`0\n${join(scope, "monitor/cgroup.procs")}|a b|it's||`);
  expect(readFileSync(join(scope, "monitor/cgroup.procs"), "utf8")).toBe("0\n");
});

test("on v1 a scope may hold processes beside other cgroups: there is no monitor's", () => {
  const cgroups = { memory: join(scratch, "memory/tug-c1.scope"), pids: join(scratch, "pids/tug-c1.scope") };
  const command = commandInScope({ unit: "tug-c1.scope", slice: "system.slice", cgroups }, ["conmon", "-t"]);
  expect(command.slice(-2)).toEqual(["conmon", "-t"]);
  expect(existsSync(cgroups.memory)).toBe(false);
});
