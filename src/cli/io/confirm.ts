import type { Context } from "../context.ts";

/** Asks before something is lost; only "y" or "Y" and nothing else means yes, as for Docker. */
export async function confirm(context: Context, warning: string): Promise<boolean> {
  await context.out.write(`${warning}\nAre you sure you want to continue? [y/N] `);
  return /^[yY]$/.test((await readLine(context)) ?? "");
}

/** One line of standard input without its end; undefined at end-of-file. */
export async function readLine(context: Context): Promise<string | undefined> {
  const parts: Uint8Array[] = [];
  for await (const chunk of context.in.chunks()) {
    const end = chunk.indexOf(10);
    parts.push(end < 0 ? chunk : chunk.subarray(0, end));
    if (end < 0) continue;
    context.in.putBack(chunk.subarray(end + 1));
    return Buffer.concat(parts).toString().replace(/\r$/, "");
  }
  return parts.length === 0 ? undefined : Buffer.concat(parts).toString();
}
