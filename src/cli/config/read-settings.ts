import { nodeFs } from "../io/builtin.ts";

/** Milliseconds that a command waits for who writes a pipe in a settings file's place. */
const patience = 2000;

/** A file that every command reads without having been asked to: one that is a pipe must not hang it. */
export async function readSettings(path: string): Promise<string> {
  const stat = nodeFs().statSync(path, { throwIfNoEntry: false });
  if (!stat || stat.isFile() || stat.isDirectory()) return await Bun.file(path).text();
  const { readWholeFile } = await import("../../base/lib/whole-file.ts");
  return readWholeFile(path, { patience }).toString();
}
