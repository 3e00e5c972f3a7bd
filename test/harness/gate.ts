import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestDaemon } from "./daemon.ts";

/**
 * Steps that a container takes when the test says so, by files in a directory that it has at /go: what comes out hangs on nobody's speed.
 *
 *     const go = gate(daemon, "name");
 *     await daemon.ok(["run", "-d", ...go.flags, "busybox", "sh", "-c", `echo one; ${go.wait("on")}; echo two`]);
 *     go.open("on");
 */
export function gate(daemon: TestDaemon, name: string) {
  const directory = join(daemon.root, `go-${name}`);
  mkdirSync(directory);
  return {
    flags: ["-v", `${directory}:/go`],
    /** A command of the container's shell that ends when the step is open. */
    wait: (step: string) => `until [ -e /go/${step} ]; do usleep 10000; done`,
    open: (step: string) => writeFileSync(join(directory, step), ""),
  };
}
