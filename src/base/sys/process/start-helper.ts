/** A program of our own in a process of its own, spoken with over its standard streams. */
export type HelperProcess = Bun.Subprocess<"pipe", "pipe", "pipe">;

/** Starts one. Nothing of what it handles may steer it: it gets a search path, and the root as its working directory. */
export function startHelper(command: readonly string[]): HelperProcess {
  return Bun.spawn([...command], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    cwd: "/",
    env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin" },
  });
}
