import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Path of a plugin of Docker's CLI ("docker-buildx") where Docker looks for them; undefined: it is not installed. */
export function dockerPlugin(name: string): string | undefined {
  return [
    "/usr/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    join(homedir(), ".docker/cli-plugins"),
  ]
    .map((directory) => join(directory, name))
    .find((path) => existsSync(path));
}
