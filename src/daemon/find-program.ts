import { accessSync, constants, realpathSync } from "node:fs";
import { delimiter, join } from "node:path";

const extra = [
  "/usr/local/sbin",
  "/usr/local/bin",
  "/usr/sbin",
  "/usr/bin",
  "/sbin",
  "/bin",
  "/usr/libexec/podman",
  "/usr/lib/podman",
];

/** Absolute path of the first of `names` that can be executed, looked for in PATH and where distributions put such things. */
export function findProgram(names: readonly string[]): string | undefined {
  const directories = [
    ...(process.env["PATH"] ?? "").split(delimiter).filter((one) => one.startsWith("/")),
    ...extra,
  ];
  for (const name of names) {
    for (const path of name.startsWith("/")
      ? [name]
      : directories.map((directory) => join(directory, name))) {
      try {
        accessSync(path, constants.X_OK);
        return realpathSync(path);
      } catch {
        // Not here: the next candidate.
      }
    }
  }
  return undefined;
}
