import { TugError } from "../../base/lib/errors.ts";
import type { Context } from "../context.ts";

/** Asks for a password without showing it: what is typed as soon as the prompt stands there is hidden too. */
export async function readSecret(context: Context, prompt: string): Promise<string> {
  context.in.setRaw(true);
  let text = "";
  try {
    await context.out.write(prompt);
    for await (const chunk of context.in.chunks()) {
      const typed = [...Buffer.from(chunk).toString()];
      for (const [at, char] of typed.entries()) {
        if (char === "\r" || char === "\n") {
          context.in.putBack(Buffer.from(typed.slice(at + 1).join("")));
          return text;
        }
        if (char === "\x03") throw new TugError("cancelled", "", { detail: { exitCode: 130 } });
        if (char === "\x7f" || char === "\b") text = [...text].slice(0, -1).join("");
        else text += char;
      }
    }
    return text;
  } finally {
    context.in.setRaw(false);
    await context.out.write("\n");
  }
}
