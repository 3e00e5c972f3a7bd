import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tugBinary } from "./daemon.ts";

/**
 * A program `ssh` that runs the command here, in an environment as bare as a login's. `programs` are what the far side has on its
 * PATH besides the system's; `log` collects the arguments of each call.
 */
export class FakeSsh {
  readonly env: Readonly<Record<string, string>>;
  readonly log: string;

  constructor(folder: string, programs: "tug" | "docker") {
    const near = join(folder, "near");
    const far = join(folder, "far");
    for (const one of [near, far]) mkdirSync(one, { recursive: true });
    this.log = join(folder, "log");
    symlinkSync(programs === "tug" ? tugBinary : "/usr/bin/docker", join(far, programs));
    // The command is the last argument; what the far side's shell needs is given by path.
    symlinkSync("/bin/sh", join(far, "sh"));
    const script = `#!/bin/sh
echo "$@" >> ${this.log}
for last; do :; done
exec /usr/bin/env -i PATH=${far} /bin/sh -c "$last"
`;
    writeFileSync(join(near, "ssh"), script);
    chmodSync(join(near, "ssh"), 0o755);
    this.env = { PATH: `${near}:${process.env["PATH"] ?? ""}` };
  }
}
