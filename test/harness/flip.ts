import { join } from "node:path";

const program = `
  import { AT_FDCWD, RENAME_EXCHANGE, renameat } from ${JSON.stringify(join(import.meta.dir, "../../src/base/sys/at.ts"))};
  const [a = "", b = ""] = process.argv.slice(1);
  process.stdout.write("on");
  for (;;) for (let i = 0; i < 1000; i++) renameat(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
`;

/** Swaps two names as fast as it can until disposed: the attacker of every race over paths. */
export async function flip(a: string, b: string): Promise<AsyncDisposable> {
  const child = Bun.spawn([process.execPath, "-e", program, a, b], { stdout: "pipe", stderr: "inherit" });
  await child.stdout.getReader().read();
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
