import { invalid } from "../base/lib/errors.ts";

/** A device, "c" or "b" with its numbers, or a pipe, "p": the program of that name calls mknod(2) for us. Throws invalid-argument in its words. */
export async function makeNode(
  path: string,
  mode: number,
  kind: "c" | "b" | "p",
  numbers: readonly number[] = [],
): Promise<void> {
  const permissions = (mode & 0o777).toString(8);
  const command = ["mknod", `--mode=${permissions}`, "--", path, kind, ...numbers.map(String)];
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const complaint = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw invalid(complaint.trim());
}
