import type { Context } from "../context.ts";

/** Asks before something is lost; only a "y" or "Y" at the start of the answer means yes. */
export async function confirm(context: Context, warning: string): Promise<boolean> {
  await context.out.write(`${warning}\nAre you sure you want to continue? [y/N] `);
  return /^[yY]/.test((await readLine(context)) ?? "");
}

/** One line of standard input without its end; undefined at end-of-file. */
export async function readLine(context: Context): Promise<string | undefined> {
  let text = "";
  for await (const chunk of context.in.chunks()) {
    text += Buffer.from(chunk).toString();
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end).replace(/\r$/, "");
  }
  return text === "" ? undefined : text;
}
